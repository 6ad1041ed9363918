"""The bytes of memory that a strided tensor covers.  No torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod

MOST_UNITS = 1 << 26
"""Bits in a map of what is covered: 8 MiB."""


@dataclass(frozen=True)
class Extent:
    """The bytes of a strided tensor.

    Attributes:
        space: what positions are counted in: a device, a storage or a file.
        start: position of the first byte.
        itemsize: bytes of an element.
        shape: sizes.
        strides: bytes from one element to the next, for each dimension; none is negative.
        origin: position of the first byte of the storage.
    """

    space: Hashable
    start: int
    itemsize: int
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    origin: int = 0

    @property
    def is_empty(self) -> bool:
        return 0 in self.shape or not self.itemsize

    @property
    def repeats(self) -> tuple[tuple[int, int], ...]:
        """The unbroken run of `run` bytes comes again: strides and sizes, the smallest stride first."""
        return _runs(self.itemsize, self.shape, self.strides)[1]

    @property
    def run(self) -> int:
        return _runs(self.itemsize, self.shape, self.strides)[0]

    @property
    def stop(self) -> int:
        """The position after the last byte."""
        return self.start + _length(self.itemsize, self.shape, self.strides)


@lru_cache(maxsize=1 << 12)  # a model has few shapes
def _runs(
    itemsize: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return the bytes of an unbroken run, and the strides and sizes of what repeats it."""
    run = itemsize
    repeats: list[tuple[int, int]] = []
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if not repeats and stride <= run:
            run += stride * (size - 1)
        elif size > 1:
            repeats.append((stride, size))
    return run, tuple(repeats)


@lru_cache(maxsize=1 << 12)
def _length(itemsize: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return the bytes from the first to the last."""
    if 0 in shape or not itemsize:
        return 0
    run, repeats = _runs(itemsize, shape, strides)
    return run + sum(stride * (size - 1) for stride, size in repeats)


def covered(extents: Iterable[Extent]) -> int:
    """Return how many bytes of one space the extents cover together; at most so many if they are huge."""
    extents = [each for each in extents if not each.is_empty]
    ranges = _union((each.start, each.stop) for each in extents)
    if not any(each.repeats for each in extents):
        return ranges
    first = min(each.start for each in extents)
    unit = gcd(*(number for each in extents for number in _numbers(each, first)))
    if max(each.stop for each in extents) - first > MOST_UNITS * unit:
        return min(ranges, sum(_own(each) for each in extents))
    bits = 0
    for each in extents:
        bits |= _bits(each, unit) << (each.start - first) // unit
    return bits.bit_count() * unit


def _union(ranges: Iterable[tuple[int, int]]) -> int:
    total, reached = 0, 0
    for start, stop in sorted(ranges):
        total += max(0, stop - max(start, reached))
        reached = max(reached, stop)
    return total


def _numbers(extent: Extent, first: int) -> tuple[int, ...]:
    return (extent.start - first, extent.run, *(stride for stride, _ in extent.repeats))


def _own(extent: Extent) -> int:
    """Return the bytes of one extent, counted twice where it overlaps with itself."""
    return extent.run * prod(size for _, size in extent.repeats)


def _bits(extent: Extent, unit: int) -> int:
    """Return a bit for each unit that is covered."""
    bits = (1 << extent.run // unit) - 1
    for stride, size in extent.repeats:
        count = 1
        while count < size:  # each time as many copies again, or what is left, over the last of them
            more = min(count, size - count)
            bits |= bits << stride // unit * more
            count += more
    return bits
