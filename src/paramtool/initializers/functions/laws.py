"""Elementwise laws: what one element is does not depend on the others, so blocks fill on their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Draw: TypeAlias = "Callable[[Tensor, torch.Generator | None], object]"


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
    if len(shape) < 2:
        message = "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        raise ValueError(message)
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


_GAINS = {
    **dict.fromkeys(
        (
            "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
            "conv_transpose3d", "sigmoid",
        ),
        1.0,
    ),
    "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4,
}  # fmt: skip


def gain_of(nonlinearity: Any, slope: float) -> float:
    """Return the gain of a nonlinearity, as ``torch.nn.init.calculate_gain`` does.

    Raises:
        ValueError: for one that is unknown, in torch's words.
    """
    if isinstance(nonlinearity, str) and nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity == "leaky_relu" and type(slope) in (int, float):
        return math.sqrt(2.0 / (1 + slope**2))
    from torch import nn

    return nn.init.calculate_gain(nonlinearity, slope)
