"""Compare the elements of two models, block by block."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import torch
from torch import Tensor

from paramtool.records.difference import ValueChange
from paramtool.tensors.elements import Elements
from paramtool.tensors.memory import digest, resolved

BLOCK = 1 << 16
"""Elements that are held as float64 at a time."""


class ChangedValues:
    """Compares the elements of A with those of B, as a load of A into B would leave them.

    A's elements are cast to the dtype of B's.  They are close as ``torch.allclose(a, b, rtol, atol,
    equal_nan=True)`` has it: |a - b| ≤ atol + rtol·|b|; NaN is equal to NaN.

    Args:
        a, b: the elements of both.
        atol: absolute tolerance.
        rtol: relative tolerance.
    """

    def __init__(self, a: Elements, b: Elements, *, atol: float = 0.0, rtol: float = 0.0) -> None:
        self._a = a
        self._b = b
        self._atol = atol
        self._rtol = rtol

    def digests(self, a: Collection[str], b: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the SHA-256 of the named tensors of A and of B."""
        return _digests(self._a, a), _digests(self._b, b)

    def change(self, a: str, b: str) -> ValueChange | None:
        """Return how far the tensor `b` of B is from `a` of A, which has its shape; None where close."""
        if all(_same_bytes(was, now) for was, now in self._blocks(a, b)):
            return None
        sums = _Sums(self._atol, self._rtol)
        for was, now in self._blocks(a, b):
            for start in range(0, now.numel(), BLOCK):
                part = slice(start, start + BLOCK)
                sums.take(_cast(was[part], now.dtype), now[part])
        return sums.result() if sums.differing else None

    def _blocks(self, a: str, b: str) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self._a.blocks(a), self._b.blocks(b), strict=True)


class _Sums:
    """What is known of two tensors so far."""

    def __init__(self, atol: float, rtol: float) -> None:
        self._atol = atol
        self._rtol = rtol
        self.differing = 0
        self._max_abs = 0.0
        self._square = self._square_a = self._square_b = self._product = 0.0

    def take(self, was: Tensor, now: Tensor) -> None:
        """Take elements of one dtype."""
        wide = torch.complex128 if now.is_complex() else torch.float64
        a, b = was.to(wide), now.to(wide)
        equal = _same_bits(was, now) | (a.isnan() & b.isnan())
        if was.is_floating_point() or was.is_complex():  # float64 does not tell large integers apart
            equal |= a == b
        distance = (a - b).abs().masked_fill_(equal, 0.0)
        close = equal
        if self._atol or self._rtol:
            near = distance <= self._atol + self._rtol * b.abs()
            close = equal | (near & distance.isfinite())
        self.differing += int((~close).sum())
        self._max_abs = _largest(self._max_abs, float(distance.max()))
        finite = a.isfinite() & b.isfinite()
        a, b = a[finite], b[finite]
        self._square += float(distance[finite].square().sum())
        self._square_a += float(a.abs().square().sum())
        self._square_b += float(b.abs().square().sum())
        self._product += float((a * b.conj()).real.sum())

    def result(self) -> ValueChange:
        """Return what was found."""
        length_a, length_b = math.sqrt(self._square_a), math.sqrt(self._square_b)
        distance = math.sqrt(self._square)
        cosine = self._product / (length_a * length_b) if length_a and length_b else None
        return ValueChange(
            differing=self.differing,
            max_abs=self._max_abs,
            relative_rms=distance / length_a if length_a else math.inf if distance else None,
            cosine=None if cosine is None else max(-1.0, min(1.0, cosine)),
        )


def _digests(elements: Elements, names: Collection[str]) -> dict[str, str]:
    return {name: digest(elements.blocks(name)) for name in names}


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `tensor` as a copy into one of `dtype` leaves it."""
    if tensor.is_complex() and not dtype.is_complex:
        tensor = tensor.real
    return tensor.to(dtype)


def _same_bytes(was: Tensor, now: Tensor) -> bool:
    return was.dtype == now.dtype and torch.equal(_bytes(was), _bytes(now))


def _same_bits(was: Tensor, now: Tensor) -> Tensor:
    """Tell of each element whether it is the same to the bit."""
    return (_bytes(was) == _bytes(now)).reshape(-1, now.element_size()).all(dim=1)


def _bytes(tensor: Tensor) -> Tensor:
    flat = resolved(tensor)
    if flat.numel() == 1:  # of which torch does not mind the stride, but view does
        flat = flat.as_strided((1,), (1,))
    return flat.view(torch.uint8)


def _largest(one: float, other: float) -> float:
    """Return the larger; NaN where one is NaN."""
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)
