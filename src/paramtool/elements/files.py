"""The elements of the tensors in a checkpoint's files, read into buffers that are used again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from paramtool.elements.dtypes import Array, Dtype, dtype_of, memory_of
from paramtool.elements.elements import BLOCK, outline_indexes
from paramtool.elements.pieces import Pieces
from paramtool.elements.repetition import refusal
from paramtool.elements.scratch import Rooms
from paramtool.elements.strided import Region, boxes, packed, row_major
from paramtool.errors import NoValues, ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.files.reading.open_file import opened

GATHERED = 1 << 20
"""Elements gathered at once if they lie apart in a file: each run of them costs a call."""

_WIDEST = 16  # bytes of an element


class FileElements:
    """The elements of the tensors in a checkpoint's files.

    Args:
        checkpoint: what was opened.
        block: elements in a block.
    """

    def __init__(self, checkpoint: Checkpoint, *, block: int = BLOCK) -> None:
        self._tensors = checkpoint.by_name
        self._refusal = refusal(checkpoint)
        self._block = block
        self._rooms = Rooms(block * _WIDEST)

    def dtype(self, name: str) -> Dtype:
        """Return what the bits of the elements mean.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        return dtype_of(self._tensors[name].dtype, f"'{name}'")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes."""
        return self._tensors[name].shape

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """Yield the elements from `start` to `stop`, read one block after the other.

        Raises:
            ParamtoolError: if the file cannot be read, repeats a few elements far too often, or lacks the
                elements.
        """
        stored = self._readable(name)
        if self._refusal is not None:
            raise ParamtoolError(self._refusal)
        dtype = self.dtype(name)
        count = math.prod(stored.shape)
        end = count if stop is None else min(stop, count)
        if stored.pieces:
            return self._packed(Pieces(stored, dtype).parts(start, GATHERED), dtype, start, end)
        if stored.strides is not None:
            return self._packed(_strided_parts(stored, dtype, start), dtype, start, end)
        return self._blocks(stored, dtype, start, end)

    def are_neighbours(self, name: str, other: str) -> bool:
        """Return whether the elements of `other` follow those of `name` in the file, with the same dtype."""
        one, two = self._tensors[name], self._tensors[other]
        is_next = one.end == two.position and one.dtype == two.dtype and one.path == two.path
        return is_next and all(
            each.strides is None and not each.pieces and each.missing is None for each in (one, two)
        )

    def together(self, names: Sequence[str]) -> Iterator[Array]:
        """Yield the elements of several tensors as if of one; each is a neighbour of the one before.

        Raises:
            ParamtoolError: as of `blocks`.
        """
        first = self._readable(names[0])
        if self._refusal is not None:
            raise ParamtoolError(self._refusal)
        count = sum(math.prod(self._tensors[name].shape) for name in names)
        return self._blocks(first, self.dtype(names[0]), 0, count)

    def outline(self, name: str) -> Array:
        """Read the elements at the edges.

        Raises:
            ParamtoolError: if the file cannot be read, or lacks the elements.
        """
        stored = self._readable(name)
        dtype = self.dtype(name)
        kept = outline_indexes(stored.shape)
        if stored.pieces:
            return Pieces(stored, dtype).outline(kept)
        strides = row_major(stored.shape) if stored.strides is None else stored.strides
        found = np.empty([len(each) for each in kept], dtype.held)
        flat = found.reshape(-1)
        step = 1
        with opened(stored.path) as file:
            if kept and strides[-1] == 1 and len(kept[-1]) == stored.shape[-1]:
                step, kept = stored.shape[-1], [*kept[:-1], [0]]  # short rows are read at once
            for number, index in enumerate(product(*kept)):
                offset = sum(i * stride for i, stride in zip(index, strides, strict=True))
                room = flat[number * step : (number + 1) * step]
                position = stored.position + offset * dtype.itemsize
                file.read_into(position, memory_of(room))
        return found

    def _readable(self, name: str) -> Stored:
        stored = self._tensors[name]
        if stored.missing is not None:
            raise NoValues(f"cannot read the values of '{name}' in {stored.path}: {stored.missing}")
        return stored

    def _blocks(self, stored: Stored, dtype: Dtype, start: int, stop: int) -> Iterator[Array]:
        with self._rooms.lent(self._block, dtype.held) as room, opened(stored.path) as file:
            for first in range(start, stop, self._block):
                block = room[: min(self._block, stop - first)]
                position = stored.position + first * dtype.itemsize
                file.read_into(position, memory_of(block))
                yield block

    def _packed(
        self, parts: Iterator[tuple[int, Array]], dtype: Dtype, start: int, stop: int
    ) -> Iterator[Array]:
        with self._rooms.lent(self._block, dtype.held) as room:
            yield from packed(parts, start, stop, room)


def _strided_parts(stored: Stored, dtype: Dtype, start: int) -> Iterator[tuple[int, Array]]:
    """Yield the elements of a view that are apart in the file, gathered."""
    strides = stored.strides or ()
    with opened(stored.path) as file:

        def read(offset: int, count: int) -> Array:
            span = np.empty(count, dtype.held)
            position = stored.position + offset * dtype.itemsize
            file.read_into(position, memory_of(span))
            return span

        for box in boxes(stored.shape, GATHERED, start):
            offset = sum(i * stride for i, stride in zip(box.offsets, strides, strict=True))
            yield box.first, Region(offset, box.shape, strides).gather(read).reshape(-1)
