"""Inner products of tensors, and the distance of a sum of parts from a total."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.moments import inner as inner_product
from paramtool.operations.gradients.magnitude import (
    BLOCK,
    Elements,
    Magnitude,
    Tally,
    elements_of,
    memory_for,
    wide,
)


def inner(a: Elements, b: Tensor, unit_a: float = 1.0, unit_b: float = 1.0) -> float:
    """Return ⟨a / unit_a, b / unit_b⟩ of two tensors of one shape; of complex ones the real part."""
    first, second = elements_of(a), elements_of(b)
    left, right = memory_for(first), memory_for(first)
    products = []
    for start in range(0, first.numel(), BLOCK):
        where = slice(start, start + BLOCK)
        one, two = wide(first[where], left, unit_a), wide(second[where], right, unit_b)
        products.append(inner_product(one.numpy(), two.numpy()))
    return math.fsum(products)


def distance(total: Tensor, parts: Sequence[Elements], unit: float = 1.0) -> float:
    """Return ‖Σ parts - total‖ / unit, added up in float64."""
    whole, pieces = elements_of(total), [elements_of(each) for each in parts]
    buffer, squares = memory_for(whole), 0.0
    for start in range(0, whole.numel(), BLOCK):
        where = slice(start, start + BLOCK)
        block = wide(whole[where], buffer, unit).neg_()
        for piece in pieces:
            added = piece[where]
            block.add_(added if unit == 1.0 else added.double() / unit)
        squares += float(torch.linalg.vector_norm(block)) ** 2
    return math.sqrt(squares)


@dataclass(frozen=True)
class Reading:
    """What one reading of a total and of its parts gives.

    Attributes:
        whole, sizes: their magnitudes, element by element of what `elements_of` gives.
        products: what `inner` gives for each part and the total.
        distance: what `distance` gives.
    """

    whole: Magnitude
    sizes: list[Magnitude]
    products: list[float]
    distance: float

    @property
    def is_plain(self) -> bool:
        """Whether all numbers are right: nothing overflowed or vanished, and the total is not zero."""
        is_finite = all(each.verdict in ("ok", "zero") and each.is_safe for each in (self.whole, *self.sizes))
        return is_finite and self.whole.verdict == "ok"


def has_reading(tensor: Tensor) -> bool:
    """Return whether `reading` finds the magnitude of a tensor: of one that is strided and real."""
    return tensor.layout is torch.strided and not tensor.is_complex()


def reading(total: Tensor, parts: Sequence[Elements]) -> Reading:
    """Return the magnitudes, products and the distance of a total and its parts; each is read once."""
    whole, pieces = elements_of(total), [elements_of(each) for each in parts]
    buffer, rest, one = memory_for(whole), memory_for(whole), memory_for(whole)
    tallies, tally = [Tally() for _ in pieces], Tally()
    products: list[list[float]] = [[] for _ in pieces]
    squares = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, whole.numel(), BLOCK):
            source = whole[start : start + BLOCK]
            block = left = wide(source, buffer)
            tally.take(source, block)
            for piece, its, found in zip(pieces, tallies, products, strict=True):
                source = piece[start : start + BLOCK]
                added = wide(source, one)
                its.take(source, added)
                found.append(inner_product(added.numpy(), block.numpy()))
                left = torch.sub(left, added, out=rest[: block.numel()])
            squares += inner_product(left.numpy(), left.numpy())
    sums = [math.fsum(each) if math.isfinite(sum(each)) else math.nan for each in products]
    return Reading(tally.magnitude(), [each.magnitude() for each in tallies], sums, math.sqrt(squares))
