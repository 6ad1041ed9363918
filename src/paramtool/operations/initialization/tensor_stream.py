"""The values of one tensor, made block by block: to be written, or to be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from paramtool.operations.initialization.steps import Step, fill_whole, run_law
from paramtool.tensors import streams
from paramtool.tensors.fills import Fills, run_fills
from paramtool.tensors.scratch import Scratch


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

    def blocks(self, numbers: range, seed: int, scratch: Scratch, room: Scratch) -> Iterator[Tensor]:
        """Yield consecutive blocks of `streams.BLOCK` elements, each good until the next.

        Args:
            numbers: those of the blocks.
            seed: of every stream.
            scratch: to draw in.
            room: for the block itself.
        """
        if self.is_read:
            for number, read in zip(numbers, self._read(numbers), strict=True):
                yield self._stepped(read, number, seed, scratch, room)
        else:
            for number in numbers:
                yield self._filled(number, seed, scratch, room)

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
                self._construct(block, number, seed, scratch)
        for position, step in enumerate(self.steps):
            if step.law is None:
                fill_whole(step, position, whole, seed, self.name)
            else:
                for number, block in streams.blocks(whole):
                    self._run(step, block, number, seed, scratch)
        return whole

    def _read(self, numbers: range) -> Iterator[Tensor]:
        """Yield what the file holds in the blocks of random streams."""
        assert self.loaded is not None
        stop = min(numbers.stop * streams.BLOCK, self.tensor.numel())
        for block in self.loaded(numbers.start * streams.BLOCK, stop):
            yield from torch.split(block, streams.BLOCK)

    @torch.no_grad()
    def _filled(self, number: int, seed: int, scratch: Scratch, room: Scratch) -> Tensor:
        first = number * streams.BLOCK
        block = room.take(min(streams.BLOCK, self.tensor.numel() - first), self.tensor.dtype)
        if not self.is_replaced:
            self._construct(block, number, seed, scratch)
        for step in self.steps:
            self._run(step, block, number, seed, scratch)
        return block

    @torch.no_grad()
    def _stepped(self, read: Tensor, number: int, seed: int, scratch: Scratch, room: Scratch) -> Tensor:
        """Return what the steps make of a block that was read, which stays as it is."""
        if not self.steps:
            return read
        block = room.take(read.numel(), read.dtype).copy_(read)
        for step in self.steps:
            self._run(step, block, number, seed, scratch)
        return block

    def _construct(self, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Give `block` what the constructor gave it."""
        if self.fills is not None:
            run_fills(self.fills, block, number, seed, scratch)
        else:
            first = number * streams.BLOCK
            block.copy_(self._flat[first : first + block.numel()])

    def _run(self, step: Step, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Run one elementwise step on `block`."""
        assert step.law is not None
        run_law(step.law, block, number, seed, self.name, scratch)

    @cached_property
    def _flat(self) -> Tensor:
        """The elements of `tensor` in row-major order: a copy of one that does not lie so."""
        return self.tensor.detach().reshape(-1)
