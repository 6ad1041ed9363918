"""A tensor whose elements are in several places, read in row-major order and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from paramtool.elements.dtypes import Array, Dtype, memory_of
from paramtool.elements.strided import Box, Region, boxes, row_major
from paramtool.files.reading.checkpoint import Piece, Stored
from paramtool.files.reading.open_file import opened


class Pieces:
    """Reads one tensor from its pieces, which together are exactly the tensor."""

    def __init__(self, stored: Stored, dtype: Dtype) -> None:
        self._stored = stored
        self._dtype = dtype
        self._steps = row_major(stored.shape)

    def parts(self, start: int, most: int) -> Iterator[tuple[int, Array]]:
        """Yield the elements in flat arrays, with the number of the first one in each.

        Args:
            start: arrays that end before this element are left out.
            most: elements in an array.

        Raises:
            ParamtoolError: if a file cannot be read.
        """
        waiting = sorted(self._stored.pieces, key=self._first, reverse=True)
        active: list[Piece] = []
        for box in boxes(self._stored.shape, most, start):
            last = box.first + box.count - 1
            while waiting and self._first(waiting[-1]) <= last:
                active.append(_located(waiting.pop(), self._stored.dtype))
            active = [each for each in active if self._last(each) >= box.first]
            found = np.empty(box.shape, self._dtype.held)
            for each in active:
                self._copy(each, box, found)
            yield box.first, found.reshape(-1)

    def outline(self, kept: list[list[int]]) -> Array:
        """Return the elements at the indexes `kept` of each dimension.

        Raises:
            ParamtoolError: if a file cannot be read.
        """
        found = np.empty([len(each) for each in kept], self._dtype.held)
        for piece in self._stored.pieces:
            inside = [
                [at for at, index in enumerate(each) if begin <= index < begin + size]
                for each, begin, size in zip(kept, piece.offsets, piece.shape, strict=True)
            ]
            if not all(inside):
                continue
            located = _located(piece, self._stored.dtype)
            steps = _steps(located)
            for at in product(*inside):
                offset = sum(
                    (kept[dimension][each] - piece.offsets[dimension]) * steps[dimension]
                    for dimension, each in enumerate(at)
                )
                found[at] = self._read(located, offset, 1)[0]
        return found

    def _first(self, piece: Piece) -> int:
        return sum(i * step for i, step in zip(piece.offsets, self._steps, strict=True))

    def _last(self, piece: Piece) -> int:
        ends = (i + size - 1 for i, size in zip(piece.offsets, piece.shape, strict=True))
        return sum(i * step for i, step in zip(ends, self._steps, strict=True))

    def _copy(self, piece: Piece, box: Box, found: Array) -> None:
        """Fill the part of `found`, the elements of `box`, that the piece has."""
        both = list(zip(box.offsets, box.shape, piece.offsets, piece.shape, strict=True))
        starts = [max(a, b) for a, _, b, _ in both]
        ends = [min(a + size, b + other) for a, size, b, other in both]
        shape = tuple(end - start for start, end in zip(starts, ends, strict=True))
        if min(shape, default=1) <= 0:
            return
        steps = _steps(piece)
        offset = sum((i - b) * step for i, b, step in zip(starts, piece.offsets, steps, strict=True))
        target = tuple(slice(i - a, j - a) for i, j, a in zip(starts, ends, box.offsets, strict=True))
        found[target] = Region(offset, shape, steps).gather(lambda at, count: self._read(piece, at, count))

    def _read(self, piece: Piece, offset: int, count: int) -> Array:
        span = np.empty(count, self._dtype.held)
        with opened(piece.path) as file:
            position = piece.position + offset * self._dtype.itemsize
            file.read_into(position, memory_of(span))
        return span


def _steps(piece: Piece) -> tuple[int, ...]:
    """Return the steps in elements of what the file holds."""
    return row_major(piece.shape) if piece.strides is None else piece.strides


def _located(piece: Piece, dtype: str) -> Piece:
    """Return where the elements of a piece are; most lie in plain files, and need no reader of archives."""
    if not piece.archive:
        return piece
    from paramtool.files.reading.archived_piece import find_elements

    return find_elements(piece, dtype)
