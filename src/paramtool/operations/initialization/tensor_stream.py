"""The values of one tensor, made block by block: to be written, or to be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from paramtool.operations.initialization.steps import fill_whole, runner
from paramtool.operations.rules.step import Step
from paramtool.tensors import streams
from paramtool.tensors.fills import SMALLEST_PART, Filler, Fills, come_in_parts, filler
from paramtool.tensors.scratch import Scratch

PART = 1 << 18
"""Elements that are drawn, measured and written while they are in the cache of a core."""


class Loaded(Protocol):
    """Reads the elements of one tensor from a file."""

    def __call__(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield the elements from `start` to `stop`, flat and in the tensor's dtype."""


@dataclass
class TensorStream:
    """What a tensor was filled with, and what rules do to it.

    Attributes:
        name: the first one, which decides the random streams of rules.
        tensor: gives shape and dtype.
        fills: what the constructor did; None if `tensor` holds the values itself, or `loaded` gives them.
        steps: what rules do after that.
        loaded: reads the elements from a file.
    """

    name: str
    tensor: Tensor
    fills: Fills | None = None
    steps: tuple[Step, ...] = ()
    loaded: Loaded | None = None

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return -(-self.tensor.numel() // streams.BLOCK)

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
        """Whether what a file holds comes into the values."""
        return self.loaded is not None and not self.is_replaced

    def parts(self, numbers: range, seed: int, scratch: Scratch, room: Scratch) -> Iterator[Tensor]:
        """Yield the values of consecutive blocks of random streams in flat parts, each good until the next.

        Every part but the last of a block has `PART` elements, or is a whole block that was read.

        Args:
            numbers: those of the blocks.
            seed: of every stream.
            scratch: to draw in.
            room: for the part itself.
        """
        if self.is_read:
            for number, read in zip(numbers, self._read(numbers), strict=True):
                yield self._stepped(read, number, seed, scratch, room)
            return
        for number in numbers:
            first = number * streams.BLOCK
            count = min(streams.BLOCK, self.tensor.numel() - first)
            if self._comes_in_parts:
                fillers = self._fillers(number, seed, scratch)
                for start, stop in _cuts(count):
                    yield self._filled(fillers, first + start, room.take(stop - start, self.tensor.dtype))
            else:
                block = room.take(count, self.tensor.dtype)
                yield from torch.split(self._filled(self._fillers(number, seed, scratch), first, block), PART)

    @torch.no_grad()
    def whole(self, seed: int) -> Tensor:
        """Return all values, in memory, for what some initializer must see as a whole.

        Raises:
            ParamtoolError: if the initializer fails, or the elements cannot be read.
        """
        whole = torch.empty(self.tensor.shape, dtype=self.tensor.dtype)
        scratch = Scratch()
        if self.is_read:
            for (_, block), read in zip(streams.blocks(whole), self._read(range(self.count)), strict=True):
                block.copy_(read)
        elif not self.is_replaced:
            for number, block in streams.blocks(whole):
                self._constructor(number, seed, scratch)(block, number * streams.BLOCK)
        for position, step in enumerate(self.steps):
            if step.law is None:
                fill_whole(step, position, whole, seed, self.name)
            else:
                for number, block in streams.blocks(whole):
                    self._runner(step, number, seed, scratch)(block, number * streams.BLOCK)
        return whole

    def fill(self, block: Tensor, seed: int, scratch: Scratch, draws: streams.Draws) -> None:
        """Give the only block its values, without gradients.

        Args:
            block: all elements, flat.
            seed: of every stream.
            scratch: to draw in.
            draws: gives the generators, each of which is good until the next.
        """
        if not self.is_replaced:
            fill = self._take if self.fills is None else filler(self.fills, 0, seed, scratch, draws)
            fill(block, 0)
        for step in self.steps:
            assert step.law is not None
            runner(step.law, 0, seed, self.name, scratch, draws)(block, 0)

    def _read(self, numbers: range) -> Iterator[Tensor]:
        """Yield what the file holds in the blocks of random streams."""
        assert self.loaded is not None
        stop = min(numbers.stop * streams.BLOCK, self.tensor.numel())
        for block in self.loaded(numbers.start * streams.BLOCK, stop):
            yield from torch.split(block, streams.BLOCK)

    @torch.no_grad()
    def _filled(self, fillers: Sequence[Filler], first: int, part: Tensor) -> Tensor:
        """Fill a part whose first element has the number `first`, and return it."""
        for fill in fillers:
            fill(part, first)
        return part

    @torch.no_grad()
    def _stepped(self, read: Tensor, number: int, seed: int, scratch: Scratch, room: Scratch) -> Tensor:
        """Return what the steps make of a block that was read, which stays as it is."""
        if not self.steps:
            return read
        block = room.take(read.numel(), read.dtype).copy_(read)
        for step in self.steps:
            self._runner(step, number, seed, scratch)(block, number * streams.BLOCK)
        return block

    @cached_property
    def _comes_in_parts(self) -> bool:
        """Whether its values may be drawn part after part; see `fills.come_in_parts`."""
        is_made_so = self.is_replaced or self.fills is None or come_in_parts(self.fills, self.tensor.numel())
        laws = [step.law for step in self.steps]
        return is_made_so and all(law is not None and (law.in_parts or not law.random) for law in laws)

    def _fillers(self, number: int, seed: int, scratch: Scratch) -> list[Filler]:
        """Return what fills block `number`, in order, each with its own generator."""
        fillers = [] if self.is_replaced else [self._constructor(number, seed, scratch)]
        return fillers + [self._runner(step, number, seed, scratch) for step in self.steps]

    def _constructor(self, number: int, seed: int, scratch: Scratch) -> Filler:
        """Return what gives a part what the constructor gave it."""
        return self._take if self.fills is None else filler(self.fills, number, seed, scratch)

    def _take(self, part: Tensor, first: int) -> None:
        part.copy_(self._flat[first : first + part.numel()])

    def _runner(self, step: Step, number: int, seed: int, scratch: Scratch) -> Filler:
        """Return what runs one elementwise step on a part."""
        assert step.law is not None
        return runner(step.law, number, seed, self.name, scratch)

    @cached_property
    def _flat(self) -> Tensor:
        """The elements of `tensor` in row-major order: a copy of one that does not lie so."""
        return self.tensor.detach().reshape(-1)


def _cuts(count: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a block begin and end; none is too small to be drawn by itself."""
    start = 0
    while count - start >= PART + SMALLEST_PART:
        yield start, start + PART
        start += PART
    yield start, count
