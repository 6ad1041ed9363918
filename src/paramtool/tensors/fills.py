"""What filled a tensor while it was constructed, to be run again block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from paramtool.tensors import streams
from paramtool.tensors.scratch import Scratch

RANDOM = ("uniform_", "normal_", "exponential_", "log_normal_", "cauchy_")
CONSTANT = ("fill_", "zero_")
ELEMENTWISE = ("add_", "sub_", "mul_", "div_", "clamp_", "erfinv_")


@dataclass(frozen=True)
class Fill:
    """One in-place method of torch on a run of elements, with numbers for arguments.

    Attributes:
        method: the name of the method.
        arguments, named: its arguments.
        start, stop: the elements it covers.
        elements: literal values in the place of a method.
    """

    method: str
    arguments: tuple[float, ...] = ()
    named: Mapping[str, float] = field(default_factory=dict)
    start: int = 0
    stop: int = 0
    elements: Tensor | None = None

    @property
    def random(self) -> bool:
        return self.method in RANDOM

    def run(self, block: Tensor, first: int, generator: torch.Generator | None) -> None:
        """Fill what this covers of the flat `block`, whose first element is number `first`."""
        begin, end = max(0, self.start - first), max(0, self.stop - first)
        part = block[begin:end]
        if self.elements is not None:
            offset = first + begin - self.start
            part.copy_(self.elements.view(-1)[offset : offset + part.numel()])
            return
        chance = {"generator": generator} if self.random else {}
        getattr(part, self.method)(*self.arguments, **self.named, **chance)


class Fills(NamedTuple):
    """All that filled one tensor.

    Attributes:
        name: of the stream that random ones draw from.
        steps: what ran on the tensor, in order.
    """

    name: str
    steps: tuple[Fill, ...]

    @property
    def random(self) -> bool:
        return any(step.random for step in self.steps)


Filler = Callable[[Tensor, int], None]
"""Fills a flat part of a tensor, whose first element has the number that follows."""

SMALLEST_PART = 16
"""Elements that ``normal_`` draws together: a part begins at a multiple of it, and has as many or more."""

_IN_PARTS = (*CONSTANT, "", "uniform_", "normal_", "add_", "sub_", "mul_", "div_", "clamp_")


def run_fills(fills: Fills, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
    """Fill block `number` of a tensor by `fills`.

    Random numbers are drawn in float32 and cast, so that the dtype does not change them.

    Args:
        fills: what ran on the tensor.
        block: flat, of the tensor's dtype; it is overwritten.
        number: which block of `streams.BLOCK` elements this is.
        seed: what decides the streams, together with their names.
        scratch: room to draw in.
    """
    filler(fills, number, seed, scratch)(block, number * streams.BLOCK)


def filler(
    fills: Fills, number: int, seed: int, scratch: Scratch, draws: streams.Draws = streams.stream
) -> Filler:
    """Return what fills block `number`: the whole of it, or part after part if `fills` come in parts."""
    generator = draws(seed, fills.name, number) if fills.random else None

    def fill(part: Tensor, first: int) -> None:
        drawn = part if generator is None else scratch.draw_for(part)
        for each in fills.steps:
            each.run(drawn, first, generator)
        if drawn is not part:
            part.copy_(drawn)

    return fill


def come_in_parts(fills: Fills, numel: int) -> bool:
    """Return whether filling part after part, each of `SMALLEST_PART` or more, draws the same numbers.

    It does for methods that take their random numbers in the order of the elements.  Two draws on one
    tensor would take turns, and one on a few elements would have parts that are too small.
    """
    random = [each for each in fills.steps if each.random]
    whole = all(each.start == 0 and each.stop >= numel for each in random)
    return len(random) < 2 and whole and all(each.method in _IN_PARTS for each in fills.steps)
