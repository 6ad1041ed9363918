"""Elementwise laws: what one element is does not depend on the others, so blocks fill on their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Draw = Callable[[Tensor, "torch.Generator | None"], object]


@dataclass(frozen=True)
class Law:
    """How to fill a block, and what to expect of many elements.

    Attributes:
        draw: fills, or changes, a flat block in place: float32, or complex64, where the law is random,
            else of the tensor's own dtype.
        mean, std: of what it fills; None if they depend on what was there.  The std of complex
            numbers is that of their distance from the mean.
        note: what the law took from the shape, such as ``fan_in 4``.
        replaces: whether nothing of the earlier values is left.
        random: whether `draw` uses its generator.
        complex: whether there is such a law of complex numbers; `draw` then takes complex64 too.
        span: the first element that it is for, and the one after the last, in row-major order; None for
            all.  Only a law that is not random may have one.
        in_parts: whether a random law draws its numbers in the order of the elements, so that parts of 16
            or more that are drawn one after the other are the whole.
    """

    draw: Draw
    mean: float | None = None
    std: float | None = None
    note: str = ""
    replaces: bool = True
    random: bool = True
    complex: bool = True
    span: tuple[int, int] | None = None
    in_parts: bool = False

    def part(self, block: Tensor, first: int = 0) -> Tensor:
        """Return what the law is for of a flat block, whose first element is number `first`."""
        if self.span is None:
            return block
        begin, end = (max(0, each - first) for each in self.span)
        return block[begin:end]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return fan_in and fan_out as torch computes them: from dimensions 0 and 1 and the rest.

    Raises:
        ValueError: for fewer than two dimensions, in torch's words.
    """
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(torch.empty(*shape, device="meta"))
    return int(fan_in), int(fan_out)
