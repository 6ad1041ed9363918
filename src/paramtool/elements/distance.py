"""How far two tensors are apart: differing elements, largest distance, relative RMS, cosine."""

from __future__ import annotations

import math

import numpy as np

from paramtool.elements.dtypes import Array, Dtype
from paramtool.elements.elements import BLOCK
from paramtool.elements.moments import inner
from paramtool.elements.scratch import Scratch
from paramtool.records.difference import ValueChange

_PART = BLOCK // 2
"""Elements that are held as float64 at a time, several times over."""

_SAFE = 2.0**400
"""Magnitudes between this and its inverse have squares and sums of squares that are right in float64."""


class Distance:
    """What is known of two tensors of one dtype so far; parts that were taken apart can be merged.

    Args:
        dtype: of both.
        atol, rtol: how far elements may be apart.
    """

    def __init__(self, dtype: Dtype, atol: float, rtol: float) -> None:
        self.differing = 0
        self._dtype = dtype
        self._is_double = dtype.name in ("float64", "complex128")
        self._atol = atol
        self._rtol = rtol
        self._max_abs = 0.0
        self._square, self._square_a, self._square_b, self._product = _Sum(), _Sum(), _Sum(), _Sum()
        self._is_finite = True
        self._scratch = Scratch(), Scratch()

    def __getstate__(self) -> dict[str, object]:
        """Return what another process merges: not what the elements are taken with."""
        return {key: value for key, value in vars(self).items() if key not in ("_dtype", "_scratch")}

    def take(self, was: Array, now: Array) -> None:
        """Take flat blocks of elements."""
        for start in range(0, now.size, _PART):
            self._take(was[start : start + _PART], now[start : start + _PART])

    def merge(self, other: Distance) -> None:
        """Take what `other` knows."""
        self.differing += other.differing
        self._max_abs = _largest(self._max_abs, other._max_abs)
        self._is_finite &= other._is_finite
        for mine, its in zip(self._sums, other._sums, strict=True):
            mine.add(its.value, its.exponent)

    def result(self) -> ValueChange:
        """Return what was found.

        Where an element is not finite on one side alone, neither ratio says anything of the two: the
        relative RMS is NaN or infinite as the distance is, and the cosine NaN.
        """
        square, square_a, square_b, product = self._sums
        if not self._is_finite:
            return ValueChange(
                differing=self.differing,
                max_abs=self._max_abs,
                relative_rms=self._max_abs,
                cosine=math.nan,
            )
        relative = square.ratio(square_a)
        cosine = product.cosine(square_a, square_b)
        return ValueChange(
            differing=self.differing, max_abs=self._max_abs, relative_rms=relative, cosine=cosine
        )

    @property
    def _sums(self) -> tuple[_Sum, _Sum, _Sum, _Sum]:
        return self._square, self._square_a, self._square_b, self._product

    def _take(self, was: Array, now: Array) -> None:
        one, other = self._scratch
        a, b = _double(self._dtype.wide(was, one), one), _double(self._dtype.wide(now, other), other)
        with np.errstate(all="ignore"):
            distance = np.abs(np.subtract(a, b, out=one.take("distance", a.size, a.dtype)))
            if np.isfinite(distance.max(initial=0)):
                same = _same(was, now) if self._dtype.kind == "int" else distance == 0
            else:
                a, b, distance = self._take_odd(a, b, distance)
                same = a == b
            close = same
            if self._atol or self._rtol:
                near = distance <= self._atol + self._rtol * np.abs(b)
                close = same | (near & np.isfinite(distance))
            self.differing += close.size - int(np.count_nonzero(close))
            self._max_abs = _largest(self._max_abs, float(distance.max(initial=0)))
            self._add(_real(a), _real(b), distance)

    def _take_odd(self, a: Array, b: Array, distance: Array) -> tuple[Array, Array, Array]:
        """Take the elements that are not finite, and return the others."""
        finite = np.isfinite(a) & np.isfinite(b)
        odd = ~finite & ~(a == b) & ~(np.isnan(a) & np.isnan(b))
        if odd.any():
            self._is_finite = False
            self._max_abs = _largest(self._max_abs, float(distance[odd].max()))
            self.differing += int(np.count_nonzero(odd))
        return a[finite], b[finite], distance[finite]

    def _add(self, a: Array, b: Array, distance: Array) -> None:
        """Add the squares and the product of finite real numbers, divided by powers of two if needed."""
        of_a = of_b = of_distance = 0
        if self._is_double:
            a, of_a = _reduced(a)
            b, of_b = _reduced(b)
            if np.isinf(distance.max(initial=0)):
                common = max(of_a, of_b)
                distance = np.ldexp(a, of_a - common) - np.ldexp(b, of_b - common)
                of_distance = common
            else:
                distance, of_distance = _reduced(distance)
        self._square.add(inner(distance, distance), 2 * of_distance)
        self._square_a.add(inner(a, a), 2 * of_a)
        self._square_b.add(inner(b, b), 2 * of_b)
        self._product.add(inner(a, b), of_a + of_b)


class _Sum:
    """A sum as value · 2^exponent, which does not leave float64."""

    def __init__(self) -> None:
        self.value = 0.0
        self.exponent = 0

    def add(self, value: float, exponent: int) -> None:
        if not value:
            return
        common = max(self.exponent, exponent) if self.value else exponent
        self.value = math.ldexp(self.value, self.exponent - common) + math.ldexp(value, exponent - common)
        self.exponent = common

    def ratio(self, other: _Sum) -> float | None:
        """Return the square root of this over `other`; None if both are 0."""
        if not other.value:
            return math.inf if self.value else None
        return _root(self.value / other.value, self.exponent - other.exponent)

    def cosine(self, one: _Sum, other: _Sum) -> float | None:
        """Return this over the root of the product of two; None if one of these is 0."""
        if not (one.value and other.value):
            return None
        lengths = math.sqrt(one.value) * math.sqrt(other.value)
        exponent = self.exponent - (one.exponent + other.exponent) // 2
        return max(-1.0, min(1.0, math.ldexp(self.value / lengths, exponent)))


def _root(value: float, exponent: int) -> float:
    try:
        return math.ldexp(math.sqrt(value), exponent // 2)  # exponents of squares are even
    except OverflowError:
        return math.inf


def _reduced(values: Array) -> tuple[Array, int]:
    """Return values whose squares are in range, and the exponent of what they were divided by."""
    magnitude = float(max(values.max(initial=0), -values.min(initial=0)))
    if not magnitude or 1 / _SAFE < magnitude < _SAFE:
        return values, 0
    exponent = math.frexp(magnitude)[1]
    return np.ldexp(values, -exponent), exponent


def _same(was: Array, now: Array) -> Array:
    """Return for each whole number whether it is the same: float64 cannot distinguish large ones."""
    found: Array = was == now
    return found


def _double(wide: Array, scratch: Scratch) -> Array:
    """Return float32 and complex64 as float64 and complex128."""
    dtype = np.dtype(np.complex128 if wide.dtype.kind == "c" else np.float64)
    if wide.dtype == dtype:
        return wide
    double = scratch.take("double", wide.size, dtype)
    np.copyto(double, wide)
    return double


def _real(values: Array) -> Array:
    """Return the real and imaginary parts one after the other."""
    return values.view(np.float64) if values.dtype.kind == "c" else values


def _largest(one: float, other: float) -> float:
    """Return the larger; NaN if one is NaN."""
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)
