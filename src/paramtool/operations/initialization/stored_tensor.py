"""One tensor on its way to the disk: what fills it, block by block and part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from paramtool.elements.moments import Moments
from paramtool.errors import ParamtoolError
from paramtool.files.writing.weights import Entry
from paramtool.operations.initialization.steps import runner
from paramtool.operations.rules.step import Step
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of
from paramtool.tensors.fills import SMALLEST_PART, Filler, Fills, come_in_parts, filler
from paramtool.tensors.kinds import is_strided, lack_of_values
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.scratch import Scratch

PART = 1 << 18
"""Elements that are drawn, measured and written while they are in the cache of a core."""

_SMALL = 1 << 14
"""Elements of a tensor that is written together with its neighbours."""


@dataclass
class StoredTensor:
    """One tensor on its way to the disk: what it was filled with, and what rules do to it.

    Attributes:
        fills: what the constructor did; None if `tensor` holds the values itself, or `loaded` gives them.
        steps: what rules do after that.
        loaded: reads the elements from a file, in the tensor's dtype and in blocks.
        moments: what is known of the elements that are written.
        measured: their moments, where they were taken together with those of others.
    """

    name: str
    tensor: Tensor
    fills: Fills | None = None
    steps: tuple[Step, ...] = ()
    loaded: Callable[[], Iterator[Tensor]] | None = None
    moments: Moments = field(default_factory=Moments)
    measured: Mapping[str, Any] | None = None

    @property
    def entry(self) -> Entry:
        if not is_strided(self.tensor):
            kind = "sparse" if self.tensor.layout is not torch.strided else "not an ordinary tensor"
            raise ParamtoolError(f"'{self.name}' is {kind}, and cannot be written")
        lack = None if self.tensor.is_meta else lack_of_values(self.tensor)
        if lack:
            raise ParamtoolError(f"'{self.name}' {lack}")
        return Entry(self.name, dtype_name(self.tensor), tuple(self.tensor.shape))

    @cached_property
    def _flat(self) -> Tensor:
        """The elements of `tensor` in row-major order: a copy of one that does not lie so."""
        return self.tensor.detach().reshape(-1)

    def result(self) -> Mapping[str, Any]:
        """Return mean, std, min and max of what was written."""
        return self.moments.result() if self.measured is None else self.measured

    @property
    def is_small(self) -> bool:
        """Whether it is written together with its neighbours."""
        is_plain = not (self.is_whole or self.is_read) and self.tensor.dtype == torch.float32
        return is_plain and 0 < self.tensor.numel() <= min(_SMALL, streams.BLOCK)

    @property
    def is_whole(self) -> bool:
        """Whether some step needs to see the whole tensor at once."""
        return any(step.law is None for step in self.steps)

    @property
    def is_replaced(self) -> bool:
        """Whether rules replace all that was there before."""
        return bool(self.steps) and self.steps[0].replaces

    @property
    def is_read(self) -> bool:
        """Whether what a file holds comes into what is written."""
        return self.loaded is not None and not self.is_replaced

    def read(self) -> Iterator[Tensor]:
        """Yield what the file holds in the blocks of random streams, each good until the next."""
        assert self.loaded is not None
        for block in self.loaded():
            yield from torch.split(block, streams.BLOCK)

    def fill(self, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Give `block`, flat and of the tensor's dtype, its values."""
        for fill in self._fillers(number, seed, scratch):
            fill(block, number * streams.BLOCK)

    def parts(self, number: int, seed: int, scratch: Scratch, room: Scratch) -> Iterator[Tensor]:
        """Yield the values of a block in flat parts that stay in a core's cache, each good until the next."""
        first = number * streams.BLOCK
        count = min(streams.BLOCK, self.tensor.numel() - first)
        if not self._comes_in_parts:
            block = room.take(count, self.tensor.dtype)
            self.fill(block, number, seed, scratch)
            yield from torch.split(block, PART)
            return
        fillers = self._fillers(number, seed, scratch)
        for start, stop in _cuts(count):
            part = room.take(stop - start, self.tensor.dtype)
            for fill in fillers:
                fill(part, first + start)
            yield part

    @cached_property
    def _comes_in_parts(self) -> bool:
        """Whether its values may be drawn part after part; see `fills.come_in_parts`."""
        numel = self.tensor.numel()
        is_made_so = self.is_replaced or self.fills is None or come_in_parts(self.fills, numel)
        return is_made_so and all(
            step.law and (step.law.in_parts or not step.law.random) for step in self.steps
        )

    def _fillers(self, number: int, seed: int, scratch: Scratch) -> list[Filler]:
        """Return what fills block `number`, in order, each with its own generator."""
        fillers = [] if self.is_replaced else [self._constructor(number, seed, scratch)]
        return fillers + [self._runner(step, number, seed, scratch) for step in self.steps]

    def _constructor(self, number: int, seed: int, scratch: Scratch) -> Filler:
        if self.fills is not None:
            return filler(self.fills, number, seed, scratch)
        return self._take

    def _take(self, part: Tensor, first: int) -> None:
        part.copy_(self._flat[first : first + part.numel()])

    def _runner(self, step: Step, number: int, seed: int, scratch: Scratch) -> Filler:
        assert step.law is not None
        return runner(step.law, number, seed, self.name, scratch)

    def construct(self, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Give `block` what the constructor gave it."""
        self._constructor(number, seed, scratch)(block, number * streams.BLOCK)

    def run(self, step: Step, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Run one elementwise step on `block`."""
        self._runner(step, number, seed, scratch)(block, number * streams.BLOCK)


def _cuts(count: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a block begin and end; none is too small to be drawn by itself."""
    start = 0
    while count - start >= PART + SMALLEST_PART:
        yield start, start + PART
        start += PART
    yield start, count


def look(each: StoredTensor, flat: Tensor, moments: Moments) -> None:
    """Take the elements of a tensor that rules fill into `moments`."""
    if not (each.steps and flat.is_floating_point()):
        return
    array, dtype = array_of(flat)
    if flat.dtype == torch.float32:
        moments.glance(array)
    else:
        moments.take(array, dtype)
