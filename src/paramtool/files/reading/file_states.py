"""Whether files are still what they were: their size, and when they were written."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint


def files_of(checkpoint: Checkpoint) -> set[Path]:
    """Return the files here that hold elements of a checkpoint; one at a URL sees to itself."""
    paths = {piece.path for each in checkpoint.tensors for piece in each.pieces}
    paths.update(each.path for each in checkpoint.tensors)
    return {each for each in paths if isinstance(each, Path)}


def file_states(paths: Iterable[Path]) -> dict[Path, tuple[int, ...]]:
    """Return what changes when a file is written to, or replaced."""
    return {path: _state(path) for path in paths}


def check_unchanged(before: Mapping[Path, tuple[int, ...]]) -> None:
    """Raise if a file is not what it was.

    Raises:
        ParamtoolError: naming the first one.
    """
    for path, state in before.items():
        if _state(path) != state:
            raise ParamtoolError(
                f"{path} changed while it was read", hint="convert it again once it is written"
            )


def is_any(path: Path, files: Iterable[Path]) -> bool:
    """Return whether `path` is one of `files`, by another name or link as well."""
    try:
        own = path.stat()
        return any(os.path.samestat(own, each.stat()) for each in files)
    except OSError:
        return False


def _state(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError as error:
        raise ParamtoolError(f"cannot read {path}: {error.strerror}") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
