"""How large a tensor is: norm, largest value, inner products; in float64, block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, overload

import torch
from torch import Tensor

from paramtool.operations.gradients.scratch_file import TensorOnDisk

Elements: TypeAlias = Tensor | TensorOnDisk
"""A tensor, or the elements of one that `elements_of` gave, on disk."""

BLOCK = 1 << 15
"""Elements that are read at once: as float64 they stay in the cache."""

_SAFE = (1e-140, 1e140)
"""Between these, squares neither vanish nor overflow."""


@dataclass(frozen=True)
class Magnitude:
    """The norm and the largest absolute value of a tensor, and what is to be said of its elements.

    Attributes:
        verdict: ``nan`` where any element is, else ``inf`` where any is, else ``zero`` where all are,
            else ``ok``.
        unit_norm: the norm over `abs_max`, which is finite where the norm itself is not.
    """

    norm: float
    abs_max: float
    verdict: str
    unit_norm: float = field(default=0.0, compare=False)

    @property
    def is_safe(self) -> bool:
        """Whether squares of the elements neither vanish nor overflow."""
        return not self.abs_max or _SAFE[0] < self.abs_max < _SAFE[1]


def magnitude(tensor: Tensor) -> Magnitude:
    """Return the magnitude of `tensor`: any dtype, sparse or not; every element is looked at."""
    flat = _flat(tensor)
    parts = torch.view_as_real(flat.resolve_conj()).reshape(-1) if flat.is_complex() else flat
    low = high = squares = 0.0
    buffer = torch.empty(min(BLOCK, parts.numel()), dtype=torch.float64)
    for start in range(0, parts.numel(), BLOCK):
        block = _block(parts, start, buffer)
        least, most = (float(each) for each in torch.aminmax(block))
        if math.isnan(least):
            return Magnitude(math.nan, math.nan, "nan")
        low, high = min(low, least), max(high, most)
        squares += float(torch.linalg.vector_norm(block)) ** 2
    abs_max = abs(max(-low, high))  # not -0.0
    if math.isinf(abs_max):
        return Magnitude(math.inf, math.inf, "inf")
    norm = math.sqrt(squares)
    unit = norm / abs_max if abs_max else 0.0
    if abs_max and not _SAFE[0] < abs_max < _SAFE[1]:
        unit = float(torch.linalg.vector_norm(parts.double() / abs_max))
        norm = abs_max * unit
    if flat.is_complex() and flat.numel():
        unit *= abs_max
        abs_max = float(flat.abs().max())
        unit /= abs_max or 1.0
    return Magnitude(norm, abs_max, "ok" if abs_max else "zero", unit)


def absolute_sum(tensor: Tensor) -> float:
    """Return Σ |element|; what is expanded, as the gradient of a sum, is read once and counted as often."""
    times = 1
    for dimension, (size, step) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if step == 0 and size > 1:
            tensor = tensor.narrow(dimension, 0, 1)
            times *= size
    flat = tensor.detach().reshape(-1)
    flat = flat.abs() if flat.is_complex() else flat
    buffer = torch.empty(min(BLOCK, flat.numel()), dtype=torch.float64)
    starts = range(0, flat.numel(), BLOCK)
    return times * math.fsum(float(_block(flat, start, buffer).abs_().sum()) for start in starts)


def inner(a: Elements, b: Tensor, unit_a: float = 1.0, unit_b: float = 1.0) -> float:
    """Return ⟨a / unit_a, b / unit_b⟩ of two tensors of one shape; of complex ones the real part."""
    first, second = elements_of(a), elements_of(b)
    left = torch.empty(min(BLOCK, first.numel()), dtype=torch.float64)
    right = torch.empty_like(left)
    return math.fsum(
        float(torch.dot(_block(first, start, left, unit_a), _block(second, start, right, unit_b)))
        for start in range(0, first.numel(), BLOCK)
    )


def distance(total: Tensor, parts: Sequence[Elements], unit: float = 1.0) -> float:
    """Return ‖Σ parts - total‖ / unit, added up in float64."""
    whole, pieces = elements_of(total), [elements_of(each) for each in parts]
    buffer = torch.empty(min(BLOCK, whole.numel()), dtype=torch.float64)
    squares = 0.0
    for start in range(0, whole.numel(), BLOCK):
        block = _block(whole, start, buffer, unit).neg_()
        for piece in pieces:
            added = piece[start : start + BLOCK]
            block.add_(added if unit == 1.0 else added.double() / unit)
        squares += float(torch.linalg.vector_norm(block)) ** 2
    return math.sqrt(squares)


def inner_and_distance(total: Tensor, parts: Sequence[Elements]) -> tuple[list[float], float]:
    """Return what `inner` gives for each part and the total, and `distance`; each tensor is read once."""
    whole, pieces = elements_of(total), [elements_of(each) for each in parts]
    size = min(BLOCK, whole.numel())
    buffer, left, one = (torch.empty(size, dtype=torch.float64) for _ in range(3))
    products: list[list[float]] = [[] for _ in pieces]
    squares = 0.0
    for start in range(0, whole.numel(), BLOCK):
        block = _block(whole, start, buffer)
        rest = _block(block, 0, left).neg_()
        for piece, found in zip(pieces, products, strict=True):
            added = _block(piece, start, one)
            found.append(float(torch.dot(added, block)))
            rest.add_(added)
        squares += float(torch.linalg.vector_norm(rest)) ** 2
    return [math.fsum(each) for each in products], math.sqrt(squares)


@overload
def elements_of(tensor: Tensor) -> Tensor: ...


@overload
def elements_of(tensor: TensorOnDisk) -> TensorOnDisk: ...


def elements_of(tensor: Elements) -> Elements:
    """Return the elements in a row, as real numbers; zeros that a sparse tensor leaves out included."""
    if isinstance(tensor, TensorOnDisk):
        return tensor
    flat = tensor.detach().to_dense().reshape(-1)
    return torch.view_as_real(flat.resolve_conj()).reshape(-1) if flat.is_complex() else flat


def _flat(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        tensor = tensor.coalesce().values() if tensor.is_sparse else tensor.to_dense()
    return tensor.reshape(-1)


def _block(flat: Elements, start: int, buffer: Tensor, unit: float = 1.0) -> Tensor:
    source = flat[start : start + BLOCK]
    block = buffer[: source.numel()]
    block.copy_(source)
    return block if unit == 1.0 else block.div_(unit)
