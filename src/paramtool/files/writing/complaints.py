"""What the operating system refuses, told as an error about the file that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paramtool.errors import ParamtoolError


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the body into a `ParamtoolError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise ParamtoolError(f"cannot write {path}: {error.strerror or error}") from error
