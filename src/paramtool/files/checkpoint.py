"""A checkpoint: named tensors in files, whose elements are read piece by piece.  No torch."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from paramtool.errors import ParamtoolError


@dataclass(frozen=True)
class Stored:
    """One tensor of a checkpoint, and where its elements are.

    Attributes:
        name: as the checkpoint has it.
        dtype: torch's name, ``float32``.
        shape: sizes.
        nbytes: the bytes of its elements.
        path: the file that holds them.
        position: the byte of the file at which the first element begins.
        strides: steps in elements, where the elements do not follow each other in row-major order.
        storage: what two tensors have in common that may share memory once they are loaded; None for a
            tensor that has its storage for itself.
        start: the byte of the storage at which the first element begins.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    path: Path
    position: int
    strides: tuple[int, ...] | None = None
    storage: Hashable = None
    start: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors in files, opened without reading an element.

    Attributes:
        name: what it is called in messages and reports: the path that was given.
        tensors: in the order of the file, or of the model where the file keeps that.
        tied: names that stand for another of `tensors`, by name.
        metadata: texts that the files carry.
    """

    name: str
    tensors: tuple[Stored, ...]
    tied: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, Stored]:
        """Return the tensors by every name, tied ones included."""
        own = {each.name: each for each in self.tensors}
        return {**own, **{name: own[first] for name, first in self.tied.items() if first in own}}


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file of a checkpoint to read, and give its descriptor.

    Raises:
        ParamtoolError: where it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ParamtoolError(f"cannot read {path}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_into(descriptor: int, path: Path, position: int, room: memoryview) -> None:
    """Fill `room` with the bytes of an open file from `position` on.

    Raises:
        ParamtoolError: where the file is too short or cannot be read.
    """
    while room.nbytes:
        try:
            count = os.preadv(descriptor, [room[: 1 << 30]], position)
        except OSError as error:
            raise ParamtoolError(f"cannot read {path}: {error.strerror}") from error
        if not count:
            raise ParamtoolError(f"{path} ends too early; it was cut off while it was read")
        position += count
        room = room[count:]
