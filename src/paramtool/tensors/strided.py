"""Read a view whose elements lie apart in a file, in row-major order and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

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

    def gather(self, read: Callable[[int, int], Tensor]) -> Tensor:
        """Return the elements, of which none is missing, in the box's shape.

        Args:
            read: returns a number of elements from an offset on.
        """
        if self._is_dense:
            return read(self.offset, self.span).as_strided(self.shape, self.strides)
        widest = self._widest
        parts = (self.part(widest, index) for index in range(self.shape[widest]))
        return torch.stack([part.gather(read) for part in parts], widest)

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


def regions(whole: Region, most: int) -> Iterator[Region]:
    """Yield boxes of at most `most` elements that are `whole`, one after the other in row-major order."""
    shape, strides = whole.shape, whole.strides
    if 0 in shape:
        return
    cut = 0  # the dimension that is cut into ranges; those after it stay whole
    while cut < len(shape) and math.prod(shape[cut + 1 :]) > most:
        cut += 1
    if not shape:
        yield whole
        return
    rows = max(1, most // math.prod(shape[cut + 1 :]))
    for indexes in product(*(range(size) for size in shape[:cut])):
        before = whole.offset + sum(i * stride for i, stride in zip(indexes, strides[:cut], strict=True))
        for start in range(0, shape[cut], rows):
            count = min(rows, shape[cut] - start)
            yield Region(before + start * strides[cut], (count, *shape[cut + 1 :]), strides[cut:])
