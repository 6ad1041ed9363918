"""Errors that end a command, in the formats that servers read, and on stderr.

With ``--format github`` they are annotations, which a runner's log shows as lines, so it gets no others.
With ``--format junit`` they are a suite of one test, since servers refuse an empty file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer

from paramtool.cli import console
from paramtool.errors import ParamtoolError


@contextmanager
def annotated_errors(command: str | None, options: Mapping[str, Any]) -> Iterator[None]:
    """Write annotations or a suite for an error that ends `command`, if its `options` ask for one of these.

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
        elif options.get("format") == "junit":
            from paramtool.render.junit import error_suite

            console.write(error_suite(error, command or "paramtool", _typed_models(options)))
        raise


def _typed_models(options: Mapping[str, Any]) -> str:
    """Return what was typed for A and B, or for each MODEL."""
    typed = [options.get("a"), options.get("b"), *(options.get("models") or ())]
    return " ".join(each for each in typed if each)
