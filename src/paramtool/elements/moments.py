"""Sums, extremes and counts of elements, taken block by block in float64 and merged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from paramtool.elements.dtypes import Array, Dtype
from paramtool.elements.elements import BLOCK
from paramtool.elements.scratch import own_scratch

_ROW = 1 << 13
"""Elements of one inner product: BLAS would wake other threads for more than 10,000."""

_ONES = np.ones(_ROW, np.float32)

_SAFE = 400
"""Magnitudes between 2^-400 and 2^400 have squares and sums of squares that are right in float64."""

_SINGLE = 2.0**-60
"""A root mean square in float32 above this has not lost its squares to underflow."""


class Moments:
    """What is known of the elements so far; parts that were taken apart can be merged.

    The sums are of (element · 2^-exponent - shift): Chan, Golub, LeVeque 1983, "Algorithms for computing
    the sample variance", equation 1.5.  The exponent is 0 unless float64 elements are so large or so
    small that their squares would leave float64.
    """

    def __init__(self) -> None:
        self.shift: float | None = None
        self.count = self.zeros = self.nan = self.inf = 0
        self.sum = self.squares = 0.0
        self.exponent: int | None = None  # None while all elements are 0
        self.low, self.high = math.inf, -math.inf

    def take(self, block: Array, dtype: Dtype) -> None:
        """Take the elements of a flat block of real numbers, which is left as it is."""
        step = max(1, BLOCK // dtype.values)
        for start in range(0, block.size, step):
            self.take_wide(dtype.wide(block[start : start + step], own_scratch()))

    def take_wide(self, source: Array) -> None:
        """Take float32 or float64 elements, at most a block of them."""
        low, high = float(source.min()), float(source.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            source = self._finite(source)
            if not source.size:
                return
            low, high = float(source.min()), float(source.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.count += source.size
        scratch = own_scratch()
        if low <= 0 <= high:
            is_zero = scratch.take("mask", source.size, np.bool_)
            self.zeros += int(np.count_nonzero(np.equal(source, 0, out=is_zero)))
        self._grow(_exponent(max(-low, high)) if source.dtype == np.float64 else 0)
        exponent = self.exponent or 0
        centred = scratch.take("centred", source.size, np.float64)
        if exponent:
            np.ldexp(source, -exponent, out=centred)
        else:
            np.copyto(centred, source)
        if self.shift is None:
            is_centred = low < 0 < high and abs(low / 2 + high / 2) < high / 4 - low / 4
            self.shift = 0.0 if is_centred else float(centred[0])
        if self.shift:
            np.subtract(centred, self.shift, out=centred)
        self.sum += float(np.add.reduce(centred))
        self.squares += inner(centred, centred)

    def glance(self, flat: Array) -> None:
        """Take float32 elements by four quick reductions, for moments to about six digits.

        Where these would not do, for NaN, infinity, magnitudes whose squares leave float32 or a mean
        far from zero, this is `take`.  The zeros are not counted.
        """
        low, high = float(flat.min()), float(flat.max())
        with np.errstate(over="ignore", invalid="ignore"):
            total, squares = _total(flat), inner(flat, flat)
        is_plain = math.isfinite(squares) and math.isfinite(total) and squares > flat.size * _SINGLE**2
        if self.shift not in (None, 0.0) or not is_plain or 2 * total * total >= flat.size * squares:
            for start in range(0, flat.size, BLOCK):
                self.take_wide(flat[start : start + BLOCK])
            return
        self._grow(0)
        self.shift = 0.0
        self.count += flat.size
        scale = 2.0 ** -(self.exponent or 0)
        self.sum += total * scale
        self.squares += squares * scale * scale
        self.low, self.high = min(self.low, low), max(self.high, high)

    def merge(self, other: Moments) -> None:
        """Take what `other` knows: its sums are moved to this one's exponent and shift."""
        self.zeros += other.zeros
        self.nan += other.nan
        self.inf += other.inf
        if other.shift is None:
            return
        if other.exponent is not None:
            self._grow(other.exponent)
        by = (other.exponent or 0) - (self.exponent or 0)
        shift, total = math.ldexp(other.shift, by), math.ldexp(other.sum, by)
        squares = math.ldexp(other.squares, 2 * by)
        if self.shift is None:
            self.shift = shift
        moved = shift - self.shift
        self.squares += squares + 2 * moved * total + other.count * moved * moved
        self.sum += total + other.count * moved
        self.count += other.count
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def result(self) -> dict[str, Any]:
        """Return mean, std, min, max, norm and the counts."""
        counts = {"zeros": self.zeros, "nan": self.nan, "inf": self.inf}
        if self.shift is None:
            return {**dict.fromkeys(("mean", "std", "min", "max", "norm")), **counts}
        n, shift, exponent = self.count, self.shift, self.exponent or 0
        mean = shift + self.sum / n
        variance = max(0.0, self.squares - self.sum * self.sum / n) / (n - 1) if n > 1 else None
        square_sum = max(0.0, self.squares + 2 * shift * self.sum + n * shift * shift)
        return {
            "mean": min(max(_scaled(mean, exponent), self.low), self.high),
            "std": None if variance is None else _scaled(math.sqrt(variance), exponent),
            "min": self.low + 0.0,  # not -0.0
            "max": self.high + 0.0,
            "norm": _scaled(math.sqrt(square_sum), exponent),
            **counts,
        }

    def _grow(self, exponent: int | None) -> None:
        """Make room for magnitudes of about 2^exponent; None is a block of zeros."""
        if exponent is None or (self.exponent is not None and exponent <= self.exponent):
            return
        if self.exponent is not None:
            by = self.exponent - exponent
            self.sum, self.squares = math.ldexp(self.sum, by), math.ldexp(self.squares, 2 * by)
            self.shift = None if self.shift is None else math.ldexp(self.shift, by)
        self.exponent = exponent

    def _finite(self, block: Array) -> Array:
        finite = block[np.isfinite(block)]
        nan = int(np.count_nonzero(np.isnan(block)))
        self.nan += nan
        self.inf += block.size - nan - finite.size
        return finite


def inner(a: Array, b: Array) -> float:
    """Return the inner product of two flat real arrays of one dtype, in the calling thread alone."""
    whole = a.size // _ROW * _ROW
    rows = np.vecdot(a[:whole].reshape(-1, _ROW), b[:whole].reshape(-1, _ROW))
    rest = np.dot(a[whole:], b[whole:])
    return float(np.add.reduce(rows, dtype=np.float64)) + float(rest)


def _total(flat: Array) -> float:
    """Return the sum of float32 elements: row by row by the inner product with ones, quicker than a sum."""
    whole = flat.size // _ROW * _ROW
    rows = np.vecdot(flat[:whole].reshape(-1, _ROW), _ONES)
    rest = np.add.reduce(flat[whole:])
    return float(np.add.reduce(rows, dtype=np.float64)) + float(rest)


def _exponent(magnitude: float) -> int | None:
    """Return what to divide by, as a power of two, so that squares of such magnitudes are in range."""
    if not magnitude:
        return None
    exponent = math.frexp(magnitude)[1]
    return 0 if abs(exponent) < _SAFE else exponent


def _scaled(value: float, exponent: int) -> float:
    """Return value · 2^exponent; infinity if that is too large."""
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)
