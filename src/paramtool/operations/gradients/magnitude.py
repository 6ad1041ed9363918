"""How large a tensor is: norm, largest value, inner products; in float64, block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


class _Tally:
    """The least and the largest element, and the sum of the squares, of the blocks so far."""

    def __init__(self) -> None:
        self.low = self.high = self.squares = 0.0

    def take(self, source: Tensor, block: Tensor) -> None:
        """Take one block: as it was, and as float64."""
        values = block.numpy()
        is_plain = source.dtype is torch.float32 and source.device.type == "cpu" and not source.is_neg()
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
    tally, buffer = _Tally(), _buffer(parts)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, parts.numel(), BLOCK):
            source = parts[start : start + BLOCK]
            tally.take(source, _block(source, buffer))
            if math.isnan(tally.low):
                break
    found = tally.magnitude()
    if found.verdict != "ok":
        return found
    if not found.is_safe:
        unit = _unit_norm(parts, found.abs_max, buffer)
        found = replace(found, norm=found.abs_max * unit, unit_norm=unit)
    if isinstance(flat, Tensor) and flat.is_complex():
        abs_max = float(flat.abs().max())
        unit = found.unit_norm * found.abs_max / (abs_max or 1.0)
        found = replace(found, abs_max=abs_max, unit_norm=unit)
    return found


def norm(tensor: Tensor) -> float:
    """Return the norm that `magnitude` gives, in less time where it is an ordinary number."""
    parts = elements_of(_flat(tensor))
    buffer, squares = _buffer(parts), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, parts.numel(), BLOCK):
            values = _block(parts[start : start + BLOCK], buffer).numpy()
            squares += inner_product(values, values)
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
    buffer = _buffer(flat)
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.numel(), BLOCK))
    return times * math.fsum(float(_block(each, buffer).abs_().sum()) for each in blocks)


def inner(a: Elements, b: Tensor, unit_a: float = 1.0, unit_b: float = 1.0) -> float:
    """Return ⟨a / unit_a, b / unit_b⟩ of two tensors of one shape; of complex ones the real part."""
    first, second = elements_of(a), elements_of(b)
    left, right = _buffer(first), _buffer(first)
    products = []
    for start in range(0, first.numel(), BLOCK):
        where = slice(start, start + BLOCK)
        one, two = _block(first[where], left, unit_a), _block(second[where], right, unit_b)
        products.append(inner_product(one.numpy(), two.numpy()))
    return math.fsum(products)


def distance(total: Tensor, parts: Sequence[Elements], unit: float = 1.0) -> float:
    """Return ‖Σ parts - total‖ / unit, added up in float64."""
    whole, pieces = elements_of(total), [elements_of(each) for each in parts]
    buffer, squares = _buffer(whole), 0.0
    for start in range(0, whole.numel(), BLOCK):
        where = slice(start, start + BLOCK)
        block = _block(whole[where], buffer, unit).neg_()
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


def reading(total: Tensor, parts: Sequence[Elements]) -> Reading:
    """Return the magnitudes, products and the distance of a total and its parts; each is read once."""
    whole, pieces = elements_of(total), [elements_of(each) for each in parts]
    buffer, rest, one = _buffer(whole), _buffer(whole), _buffer(whole)
    tallies, tally = [_Tally() for _ in pieces], _Tally()
    products: list[list[float]] = [[] for _ in pieces]
    squares = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, whole.numel(), BLOCK):
            source = whole[start : start + BLOCK]
            block = left = _block(source, buffer)
            tally.take(source, block)
            for piece, its, found in zip(pieces, tallies, products, strict=True):
                source = piece[start : start + BLOCK]
                added = _block(source, one)
                its.take(source, added)
                found.append(inner_product(added.numpy(), block.numpy()))
                left = torch.sub(left, added, out=rest[: block.numel()])
            squares += inner_product(left.numpy(), left.numpy())
    sums = [math.fsum(each) if math.isfinite(sum(each)) else math.nan for each in products]
    return Reading(tally.magnitude(), [each.magnitude() for each in tallies], sums, math.sqrt(squares))


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


def _unit_norm(parts: Elements, abs_max: float, buffer: Tensor) -> float:
    """Return the norm of elements over `abs_max`, whose squares leave float64."""
    squares = 0.0
    for start in range(0, parts.numel(), BLOCK):
        values = _block(parts[start : start + BLOCK], buffer, abs_max).numpy()
        squares += inner_product(values, values)
    return math.sqrt(squares)


def _buffer(flat: Elements) -> Tensor:
    return torch.empty(min(BLOCK, flat.numel()), dtype=torch.float64)


def _block(source: Tensor, buffer: Tensor, unit: float = 1.0) -> Tensor:
    block = buffer[: source.numel()]
    block.copy_(source)
    return block if unit == 1.0 else block.div_(unit)
