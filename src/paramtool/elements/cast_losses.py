"""How many values a cast makes infinite, clips or turns into zero; most blocks lose none, and cost little.

A block is first asked for its largest and its smallest magnitude, as whole numbers: without their sign,
the bits of floats are in the order of the values.  Where both fit, nothing is lost.  If the extremes
of the block fit and no element of the result is zero, not even this is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from paramtool.elements.casts import cast
from paramtool.elements.dtypes import DTYPES, Array, Dtype
from paramtool.elements.scratch import Scratch

_SIGNED = frozenset(("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"))
"""Floats whose bits without the highest are in the order of the magnitudes, NaN the largest."""


@dataclass
class Losses:
    """What a cast loses beside digits.

    Attributes:
        overflowed: values too large for the dtype: they became infinite, NaN or another number.
        vanished: values other than zero that became zero.
        nan: values that were NaN before; None if nobody looks for them.
    """

    overflowed: int = 0
    vanished: int = 0
    nan: int | None = 0

    def add(self, other: Losses) -> None:
        """Count what another block loses as well."""
        self.overflowed += other.overflowed
        self.vanished += other.vanished
        self.nan = None if self.nan is None else self.nan + (other.nan or 0)


def loses(old: Dtype, new: Dtype) -> bool:
    """Return whether values of `old` may be too large or too small for `new`."""
    if old == new or new.kind == "bool" or old.kind == "bool":
        return False
    largest, smallest = _range(old.name)
    most, least = _range(new.name)
    if new.kind == "int":
        is_inside = old.kind == "int" and _least(new.name) <= _least(old.name) and largest <= most
        return not is_inside
    return largest > most or smallest < least or new.name == "float8_e8m0fnu"


def losses(block: Array, old: Dtype, new: Dtype, result: Array) -> Losses:
    """Count what the cast of a flat block to `result` loses; see `Losses`.

    Args:
        block: of `old`.
        old, new: dtypes.
        result: of `new`.
    """
    return _counted(block, old, new, result)


def all_fit(block: Array, old: Dtype, new: Dtype, scratch: Scratch) -> bool:
    """Return whether a cast of a flat block surely loses nothing, and nothing in it is NaN or infinite.

    Args:
        block: of `old`.
        old, new: dtypes.
        scratch: for what is computed on the way.
    """
    if not block.size:
        return True
    has_signs = new.name != "float8_e8m0fnu" and _least(new.name) < 0
    if not has_signs or old.name not in _SIGNED:
        return False
    bits = block.view(f"u{block.itemsize}")
    doubled = scratch.take("bits", bits.size, bits.dtype)
    np.left_shift(bits, 1, out=doubled)
    most, least = _bounds(old.name, new.name)
    if int(doubled.max()) > most:
        return False
    np.subtract(doubled, 1, out=doubled)  # zero is the largest now
    return int(doubled.min()) >= least - 1


def extremes_fit(block: Array, old: Dtype, new: Dtype) -> bool:
    """Return whether every element of a flat block is surely finite and not too large; False if in doubt.

    Args:
        block: of `old`; only float32 and float64 are looked at.
        old, new: dtypes.
    """
    if old.name not in ("float32", "float64") or new.name not in _SIGNED or not block.size:
        return False
    most = _largest(old.name, new.name)
    return bool(-most <= block.min() and block.max() <= most)  # both are NaN if one is


def has_zero(result: Array) -> bool:
    """Return whether an element of a flat block of a signed float dtype is 0 or -0."""
    if not result.size:
        return False
    lowest = -(1 << (8 * result.itemsize - 1))
    return (
        int(result.view(f"u{result.itemsize}").min()) == 0
        or int(result.view(f"i{result.itemsize}").min()) == lowest
    )


def nan_count(block: Array, old: Dtype, scratch: Scratch) -> int:
    """Return how many values of a flat block of floats or complex numbers are NaN."""
    if old.kind not in ("float", "complex"):
        return 0
    return int(np.count_nonzero(np.isnan(old.wide(block, scratch))))


@cache
def _largest(old: str, new: str) -> float:
    """Return the largest magnitude of `old` that fits."""
    held = np.array([_bounds(old, new)[0] // 2], f"u{DTYPES[old].itemsize}")
    return float(held.view(DTYPES[old].held)[0])


@cache
def _bounds(old: str, new: str) -> tuple[int, int]:
    """Return the largest and smallest magnitudes that fit, as doubled bits of `old`."""
    largest, smallest = _range(old)
    most, least = _range(new)
    if DTYPES[new].kind == "int":
        most, least = most / 2, 1.0  # its bound may not be a value of old
    dtype, scratch = DTYPES[old], Scratch()
    ends = np.array([min(most, largest), max(least, smallest)], np.float64)
    held = cast(ends, DTYPES["float64"], dtype, scratch)
    rounded = dtype.wide(held, scratch).astype(np.float64)
    high, low = (int(each) for each in held.view(f"u{dtype.itemsize}"))
    return 2 * (high - int(rounded[0] > ends[0])), 2 * (low + int(rounded[1] < ends[1]))


def _counted(block: Array, old: Dtype, new: Dtype, result: Array) -> Losses:
    before, after = _values(block, old), _values(result, new)
    if old.kind == "complex" and new.kind != "complex":
        before = before[::2]  # what is imaginary is left out on purpose
    with np.errstate(all="ignore"):
        is_nan = np.isnan(before) if before.dtype.kind == "f" else np.zeros(before.size, bool)
        most, least = _range(new.name)[0], _least(new.name)
        if new.kind == "int":
            is_over = is_nan | (np.trunc(before) > most) | (np.trunc(before) < least)
            if old.kind == "float" and float(most) > most:  # 2^63 is a float, 2^63 - 1 is not
                is_over |= before >= float(most)
        else:
            after = after[::2] if new.kind == "complex" and old.kind != "complex" else after
            is_over = ~is_nan & _is_over(before, after, new)
        is_gone = (before != 0) & (after == 0) & ~is_over & ~is_nan
    counts = (int(np.count_nonzero(each)) for each in (is_over, is_gone, is_nan))
    return Losses(*counts)


def _is_over(before: Array, after: Array, new: Dtype) -> Array:
    """Return where values were too large: the dtype may have no infinity to become."""
    found: Array = np.isnan(after) | (np.isfinite(before) & np.isinf(after))
    if new.name == "float8_e4m3fn":
        found = found | (np.abs(before) > _SATURATES)
    if new.name == "float8_e8m0fnu":
        found = found | (before < 0)
    return found


_SATURATES = 464.0
"""Halfway between the largest value of float8_e4m3fn and the next if there were one; it has no infinity."""


def _values(block: Array, dtype: Dtype) -> Array:
    """Return the values as numbers that NumPy has; of complex ones both parts."""
    wide = block if dtype.kind == "int" else dtype.wide(block, Scratch())
    return wide.view(wide.real.dtype) if dtype.kind == "complex" else wide


@cache
def _range(name: str) -> tuple[float, float]:
    """Return the largest finite value, and the smallest above zero."""
    dtype = DTYPES[name]
    if dtype.kind == "int":
        return int(np.iinfo(dtype.held).max), 1
    if dtype.kind == "complex":
        return _range({"complex32": "float16", "complex64": "float32", "complex128": "float64"}[name])
    if name in ("float64", "float32"):
        found = np.finfo(name)
        return float(found.max), float(found.smallest_subnormal)
    every = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}").view(dtype.held)
    values = dtype.wide(every, Scratch())
    values = values[np.isfinite(values) & (values > 0)]
    return float(values.max()), float(values.min())


def _least(name: str) -> float:
    """Return the lowest value."""
    dtype = DTYPES[name]
    return int(np.iinfo(dtype.held).min) if dtype.kind == "int" else -_range(name)[0]
