"""How large a tensor is: norm, largest value, inner products; in float64, block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeAlias, overload

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.moments import inner as inner_product
from paramtool.operations.gradients.scratch_file import TensorOnDisk

Elements: TypeAlias = Tensor | TensorOnDisk
"""A tensor, or the elements of one that `elements_of` gave, on disk."""

BLOCK = 1 << 15
"""Elements that are read at once: as float64 they stay in the cache."""

_SAFE = (1e-140, 1e140)
"""Between these, squares neither vanish nor overflow."""

_ORDINARY = (1e-240, 1e280)
"""A sum of squares between these is of elements that are safe, if they are fewer than 10^40."""


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


class Tally:
    """The least and the largest element, and the sum of the squares, of the blocks so far."""

    def __init__(self) -> None:
        self.low = self.high = self.squares = 0.0

    def take(self, source: Tensor, block: Tensor) -> None:
        """Take one block: as it was, and as float64."""
        values = block.numpy()
        is_plain = type(source) is Tensor and source.device.type == "cpu" and not source.is_neg()
        is_plain &= source.dtype is torch.float32
        narrow = source.numpy() if is_plain else values  # half as much to read
        self.low = _least(self.low, float(narrow.min()))
        self.high = -_least(-self.high, -float(narrow.max()))
        self.squares += inner_product(values, values)

    def magnitude(self) -> Magnitude:
        """Return what is known; the norm is right where `Magnitude.is_safe`."""
        if math.isnan(self.low):
            return Magnitude(math.nan, math.nan, "nan")
        abs_max = abs(max(-self.low, self.high))  # not -0.0
        if math.isinf(abs_max):
            return Magnitude(math.inf, math.inf, "inf")
        norm = math.sqrt(self.squares)
        return Magnitude(norm, abs_max, "ok" if abs_max else "zero", norm / abs_max if abs_max else 0.0)


def _least(a: float, b: float) -> float:
    """Return the smaller one; NaN if either is."""
    return a if a <= b or math.isnan(a) else b


def magnitude(tensor: Elements) -> Magnitude:
    """Return the magnitude of `tensor`: any dtype, sparse or not; every element is looked at."""
    flat = tensor if isinstance(tensor, TensorOnDisk) else _flat(tensor)
    parts = elements_of(flat)
    tally, buffer = Tally(), memory_for(parts)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, parts.numel(), BLOCK):
            source = parts[start : start + BLOCK]
            tally.take(source, wide(source, buffer))
            if math.isnan(tally.low):
                break
    found = tally.magnitude()
    if found.verdict != "ok":
        return found
    if not found.is_safe:
        unit = math.sqrt(_squares(parts, buffer, found.abs_max))  # whose own squares leave float64
        found = replace(found, norm=found.abs_max * unit, unit_norm=unit)
    if isinstance(flat, Tensor) and flat.is_complex():
        abs_max = _largest_modulus(parts, buffer)
        unit = found.unit_norm * found.abs_max / (abs_max or 1.0)
        found = replace(found, abs_max=abs_max, unit_norm=unit)
    return found


def norm(tensor: Tensor) -> float:
    """Return the norm that `magnitude` gives, in less time where it is an ordinary number."""
    parts = elements_of(_flat(tensor))
    with np.errstate(over="ignore", invalid="ignore"):
        squares = _squares(parts, memory_for(parts))
    is_ordinary = _ORDINARY[0] < squares < _ORDINARY[1]
    return math.sqrt(squares) if is_ordinary else magnitude(tensor).norm


def absolute_sum(tensor: Tensor) -> float:
    """Return Σ |element|; what is expanded, as the gradient of a sum, is read once and counted as often."""
    times = 1
    for dimension, (size, step) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if step == 0 and size > 1:
            tensor = tensor.narrow(dimension, 0, 1)
            times *= size
    flat = tensor.detach().reshape(-1)
    flat = flat.abs() if flat.is_complex() else flat
    buffer = memory_for(flat)
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.numel(), BLOCK))
    return times * math.fsum(float(wide(each, buffer).abs_().sum()) for each in blocks)


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


def _squares(parts: Elements, buffer: Tensor, unit: float = 1.0) -> float:
    """Return the sum of the squares of elements over `unit`."""
    squares = 0.0
    for start in range(0, parts.numel(), BLOCK):
        values = wide(parts[start : start + BLOCK], buffer, unit).numpy()
        squares += inner_product(values, values)
    return squares


def _largest_modulus(parts: Elements, buffer: Tensor) -> float:
    """Return the largest modulus of complex numbers, whose parts alternate; blocks are even."""
    blocks = (wide(parts[start : start + BLOCK], buffer) for start in range(0, parts.numel(), BLOCK))
    return max(float(torch.hypot(each[::2], each[1::2]).max()) for each in blocks)


def memory_for(flat: Elements) -> Tensor:
    """Return memory for one block of `flat`."""
    return torch.empty(min(BLOCK, flat.numel()), dtype=torch.float64)


def wide(source: Tensor, buffer: Tensor, unit: float = 1.0) -> Tensor:
    """Return at most `BLOCK` elements over `unit` as float64, in `buffer`."""
    block = buffer[: source.numel()]
    block.copy_(source)
    return block if unit == 1.0 else block.div_(unit)
