"""``paramtool initializers``: what a rule may fill a tensor with."""

from __future__ import annotations

from typing import Annotated

import typer

from paramtool.cli import completion, console, options
from paramtool.cli.columns import Columns, with_columns
from paramtool.operations.listing import initializers as listing
from paramtool.render.explanation import explanation
from paramtool.render.formats import Format, render


def initializers(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            show_default=False,
            autocompletion=completion.initializer_names,
            help="Explain this one.",
        ),
    ] = None,
    plugin: options.Plugin = None,
    columns: Columns = None,
    format: Annotated[Format, options.format_of("initializers")] = Format.table,
    json: options.Json = False,
) -> None:
    """List every initializer, or explain one.

    Shows its arguments and where it comes from.  An installed plugin is read but not run.
    """
    format = Format.json if json else format
    report = listing.initializers(name, files=plugin or ())
    if name is not None and format is Format.table and columns is None:
        console.write(explanation(report, console.screen()))
    else:
        console.write(render(with_columns(report, columns), format, console.screen()))
