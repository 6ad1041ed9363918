"""Read a tensor whose elements lie in pieces, in row-major order of the whole and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor

from paramtool.files.reading.archived_piece import find_elements
from paramtool.files.reading.checkpoint import Piece, Stored, opened, read_into
from paramtool.tensors.memory import as_bytes
from paramtool.tensors.strided import Region, regions


def piece_blocks(stored: Stored, dtype: torch.dtype, most: int) -> Iterator[Tensor]:
    """Yield the elements as flat blocks of `most`, the last one of the rest.

    Raises:
        ParamtoolError: where a file cannot be read, or a piece is not what was said of it.
    """
    whole = Region(0, stored.shape, row_major(stored.shape))
    room = torch.empty(min(most, math.prod(stored.shape)), dtype=dtype)
    active = _Active(stored)
    filled = 0
    for region in regions(whole, most):
        flat = active.box(region, dtype).reshape(-1)
        while flat.numel():
            taken = min(flat.numel(), room.numel() - filled)
            room[filled : filled + taken] = flat[:taken]
            filled, flat = filled + taken, flat[taken:]
            if filled == room.numel():
                yield room
                filled = 0
    if filled:
        yield room[:filled]


def piece_outline(stored: Stored, dtype: torch.dtype, kept: list[list[int]]) -> Tensor:
    """Return the elements at the indexes `kept` of each dimension.

    Raises:
        ParamtoolError: as `piece_blocks`.
    """
    found = torch.empty([len(each) for each in kept], dtype=dtype)
    for piece in stored.pieces:
        inside = [
            [at for at, index in enumerate(each) if begin <= index < begin + size]
            for each, begin, size in zip(kept, piece.offsets, piece.shape, strict=True)
        ]
        if not all(inside):
            continue
        located = find_elements(piece, stored.dtype)
        for at in product(*inside):
            index = [kept[dimension][each] for dimension, each in enumerate(at)]
            offset = sum(
                (i - begin) * step
                for i, begin, step in zip(index, piece.offsets, _steps(located), strict=True)
            )
            found[at] = _read(located, offset, 1, dtype)[0]
    return found


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the steps in elements of a tensor whose elements follow each other."""
    return tuple(math.prod(shape[dimension + 1 :]) for dimension in range(len(shape)))


class _Active:
    """The pieces that may lie in the box that is read, as the boxes go through the tensor."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._steps = row_major(stored.shape)
        self._waiting = sorted(stored.pieces, key=self._first, reverse=True)
        self._active: list[Piece] = []

    def box(self, region: Region, dtype: torch.dtype) -> Tensor:
        """Return the elements of a box of the tensor, of which `regions` cut off the first dimensions."""
        begin = tuple(
            region.offset // step % size if step else 0
            for step, size in zip(self._steps, self._stored.shape, strict=True)
        )
        shape = (1,) * (len(begin) - len(region.shape)) + region.shape
        last = region.offset + math.prod(region.shape) - 1
        while self._waiting and self._first(self._waiting[-1]) <= last:
            self._active.append(find_elements(self._waiting.pop(), self._stored.dtype))
        self._active = [each for each in self._active if self._last(each) >= region.offset]
        found = torch.empty(shape, dtype=dtype)
        for each in self._active:
            _copy(each, begin, found)
        return found

    def _first(self, piece: Piece) -> int:
        return sum(i * step for i, step in zip(piece.offsets, self._steps, strict=True))

    def _last(self, piece: Piece) -> int:
        ends = (i + size - 1 for i, size in zip(piece.offsets, piece.shape, strict=True))
        return sum(i * step for i, step in zip(ends, self._steps, strict=True))


def _copy(piece: Piece, begin: tuple[int, ...], box: Tensor) -> None:
    """Fill the part of `box`, whose first element has the index `begin`, that the piece has."""
    starts = [max(a, b) for a, b in zip(begin, piece.offsets, strict=True)]
    ends = [
        min(a + size, b + other)
        for a, size, b, other in zip(begin, box.shape, piece.offsets, piece.shape, strict=True)
    ]
    if any(end <= start for start, end in zip(starts, ends, strict=True)):
        return
    steps = _steps(piece)
    offset = sum((i - b) * step for i, b, step in zip(starts, piece.offsets, steps, strict=True))
    shape = tuple(end - start for start, end in zip(starts, ends, strict=True))
    wanted = Region(offset, shape, steps)
    target = box[tuple(slice(i - a, j - a) for i, j, a in zip(starts, ends, begin, strict=True))]
    target.copy_(wanted.gather(lambda at, count: _read(piece, at, count, box.dtype)))


def _steps(piece: Piece) -> tuple[int, ...]:
    return row_major(piece.shape) if piece.strides is None else piece.strides


def _read(piece: Piece, offset: int, count: int, dtype: torch.dtype) -> Tensor:
    span = torch.empty(count, dtype=dtype)
    with opened(piece.path) as descriptor:
        read_into(descriptor, piece.path, piece.position + offset * dtype.itemsize, as_bytes(span))
    return span
