"""Errors that end a command with ``--format github``: annotations and, off GitHub, lines on stderr too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from paramtool.cli import console
from paramtool.errors import ParamtoolError


@contextmanager
def annotated_errors(command: str | None, options: Mapping[str, Any]) -> Iterator[None]:
    """Write annotations for an error that ends `command`, if its `options` ask for that format.

    Raises:
        typer.Exit: in place of the error where a runner reads the annotations: its log shows them as lines.
    """
    try:
        yield
    except ParamtoolError as error:
        if options.get("format") == "github":
            from paramtool.render.github import error_annotations, is_read_by_runner

            console.write(error_annotations(error, command or "paramtool"))
            if is_read_by_runner() and not console.is_silent():
                raise typer.Exit(error.status) from error
        raise
