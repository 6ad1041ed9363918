"""An error that ends a command with ``--format github`` is an annotation too, not only a line on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paramtool.cli import console
from paramtool.errors import ParamtoolError


@contextmanager
def annotated_errors(command: str | None, options: Mapping[str, Any]) -> Iterator[None]:
    """Write annotations for an error that ends `command`, if its `options` ask for that format."""
    try:
        yield
    except ParamtoolError as error:
        if options.get("format") == "github":
            from paramtool.render.github import error_annotations

            console.write(error_annotations(error, command or "paramtool"))
        raise
