"""Read a view whose elements lie apart in a file, in row-major order and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided

from paramtool.elements.dtypes import Array

WASTE = 4
"""How many bytes may be read for one that is wanted, before it is read in smaller parts."""

SMALL = 1 << 16
"""Elements that are read at once whatever is wanted of them: to read twice takes longer."""


@dataclass(frozen=True)
class Region:
    """A box of a strided view.

    Attributes:
        offset: the first element, counted from the view's first.
        shape: sizes.
        strides: steps in elements, none of them negative.
    """

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def span(self) -> int:
        """Elements from the first to the last, those between included."""
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))

    def gather(self, read: Callable[[int, int], Array]) -> Array:
        """Return the elements, of which none is missing, in the box's shape.

        Args:
            read: returns a number of elements from an offset on.
        """
        if self._is_dense:
            span = read(self.offset, self.span)
            return as_strided(span, self.shape, [stride * span.itemsize for stride in self.strides])
        widest = self._widest
        parts = (self.part(widest, index) for index in range(self.shape[widest]))
        return np.stack([part.gather(read) for part in parts], widest)

    @property
    def reads(self) -> int:
        """How often `gather` reads."""
        return 1 if self._is_dense else self.shape[self._widest] * self.part(self._widest, 0).reads

    @property
    def _is_dense(self) -> bool:
        wanted = math.prod(size for size, stride in zip(self.shape, self.strides, strict=True) if stride)
        return self.span <= max(WASTE * wanted, SMALL)

    @property
    def _widest(self) -> int:
        return max(range(len(self.shape)), key=lambda each: (self.shape[each] > 1, self.strides[each]))

    def part(self, dimension: int, index: int) -> Region:
        """Return what is at one index of a dimension."""
        return Region(
            self.offset + index * self.strides[dimension],
            self.shape[:dimension] + self.shape[dimension + 1 :],
            self.strides[:dimension] + self.strides[dimension + 1 :],
        )


@dataclass(frozen=True)
class Box:
    """A box of a tensor whose elements follow each other in row-major order.

    Attributes:
        first: the number of its first element in that order.
        offsets: the index of that element.
        shape: its sizes in every dimension.
    """

    first: int
    offsets: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """What takes the box from the tensor."""
        return tuple(slice(i, i + size) for i, size in zip(self.offsets, self.shape, strict=True))


def boxes(shape: tuple[int, ...], most: int, start: int = 0) -> Iterator[Box]:
    """Yield boxes of at most `most` elements that are a tensor, one after the other.

    Args:
        shape: of the tensor.
        most: elements in a box.
        start: boxes that end before this element are left out.
    """
    if 0 in shape:
        return
    if not shape:
        if not start:
            yield Box(0, (), ())
        return
    cut = 0  # the dimension that is cut into ranges; those after it stay whole
    while cut < len(shape) - 1 and math.prod(shape[cut + 1 :]) > most:
        cut += 1
    inner = math.prod(shape[cut + 1 :])
    rows = max(1, most // inner)
    rest = (0,) * (len(shape) - cut - 1)
    whole = inner * shape[cut]
    for number in range(start // whole, math.prod(shape[:cut])):
        before = tuple(int(i) for i in np.unravel_index(number, shape[:cut])) if cut else ()
        for row in range(0, shape[cut], rows):
            count = min(rows, shape[cut] - row)
            first = number * whole + row * inner
            if first + count * inner > start:
                yield Box(first, (*before, row, *rest), (1,) * cut + (count, *shape[cut + 1 :]))


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the steps in elements of a tensor whose elements follow each other."""
    return tuple(math.prod(shape[dimension + 1 :]) for dimension in range(len(shape)))


def packed(parts: Iterable[tuple[int, Array]], start: int, stop: int, room: Array) -> Iterator[Array]:
    """Yield the elements from `start` to `stop` in blocks that fill `room`, the last one apart.

    Args:
        parts: flat arrays that follow each other, with the number of the first element of each.
        start, stop: elements of the whole.
        room: what blocks are put together in.
    """
    filled = 0
    for first, part in parts:
        flat = part[max(0, start - first) : max(0, stop - first)]
        while flat.size:
            taken = min(flat.size, room.size - filled)
            room[filled : filled + taken] = flat[:taken]
            filled, flat = filled + taken, flat[taken:]
            if filled == room.size:
                yield room
                filled = 0
        if first + part.size >= stop:
            break
    if filled:
        yield room[:filled]
