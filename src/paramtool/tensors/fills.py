"""What filled a tensor while it was constructed, to be run again block by block."""

from __future__ import annotations

from collections.abc import Mapping
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
    first = number * streams.BLOCK
    if not fills.random:
        for fill in fills.steps:
            fill.run(block, first, None)
        return
    drawn = scratch.draw_for(block)
    generator = streams.stream(seed, fills.name, number)
    for fill in fills.steps:
        fill.run(drawn, first, generator)
    if drawn is not block:
        block.copy_(drawn)
