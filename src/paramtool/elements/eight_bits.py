"""Floats of eight bits and of four: their values, and how torch rounds to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from paramtool.elements.scratch import Scratch

Bits = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EightBits:
    """One float format of eight bits.

    Attributes:
        exponent: bits of the exponent.
        bias: what is taken from the exponent.
        overflow: the code that torch gives what is too large, without its sign.
        nan: the code of NaN.
        has_infinity: whether the largest exponent means infinity and NaN, as in IEEE 754.
        has_minus_zero: whether 0x80 is -0; in the other formats it is NaN.
    """

    exponent: int
    bias: int
    overflow: int
    nan: int
    has_infinity: bool = False
    has_minus_zero: bool = True

    def value(self, code: int) -> float:
        """Return what a code below 128 stands for, special values aside."""
        mantissa_bits = 7 - self.exponent
        exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
        if not exponent:
            return math.ldexp(mantissa, 1 - self.bias - mantissa_bits)
        return math.ldexp((1 << mantissa_bits) + mantissa, exponent - self.bias - mantissa_bits)

    def table(self) -> Floats:
        """Return the value of each of the 256 codes."""
        half = np.array([self.value(code) for code in range(128)], np.float32)
        if self.has_infinity:
            half[0x7C] = math.inf
            half[0x7D:] = math.nan
        elif self.has_minus_zero:
            half[0x7F] = math.nan
        whole = np.concatenate([half, -half])
        if not self.has_minus_zero:
            whole[0x80] = math.nan
        return whole

    def encode(self, values: Floats) -> Bits:
        """Return the nearest codes, the even one of two, as ``Tensor.to`` does."""
        sizes = [self.value(code) for code in range(self.overflow + 1 if self.has_minus_zero else 129)]
        between = np.array([(one + other) / 2 for one, other in pairwise(sizes)])
        size = np.abs(values)
        low = np.searchsorted(between, size, "left")
        high = np.searchsorted(between, size, "right")
        codes = np.where(low & 1, high, low).astype(np.uint8)  # they differ halfway between two
        if self.has_minus_zero:
            codes |= np.signbit(values).astype(np.uint8) << 7
        else:
            codes |= ((codes > 0) & np.signbit(values)).astype(np.uint8) << 7
        is_nan = np.isnan(values)
        if is_nan.any():
            signs = np.signbit(values[is_nan]).astype(np.uint8) << 7 if self.has_minus_zero else 0
            codes[is_nan] = self.nan | signs
        return codes


FORMATS = {
    "float8_e4m3fn": EightBits(4, 7, overflow=0x7E, nan=0x7F),  # as of torch 2.13: it saturates
    "float8_e5m2": EightBits(5, 15, overflow=0x7C, nan=0x7F, has_infinity=True),
    "float8_e4m3fnuz": EightBits(4, 8, overflow=0x80, nan=0x80, has_minus_zero=False),
    "float8_e5m2fnuz": EightBits(5, 16, overflow=0x80, nan=0x80, has_minus_zero=False),
}


@cache
def table(name: str) -> Floats:
    """Return the values of the 256 codes of a format by torch's name; float8_e8m0fnu too."""
    if name == "float8_e8m0fnu":  # powers of two, 255 is NaN
        values = [math.ldexp(1.0, code - 127) for code in range(255)]
        return np.array([*values, math.nan], np.float32)
    return FORMATS[name].table()


@cache
def pairs() -> NDArray[np.float32]:
    """Return the two values of each byte of float4_e2m1fn_x2, the one of the low bits first."""
    half = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0], np.float32)
    values = np.concatenate([half, -half])
    codes = np.arange(256)
    return np.stack([values[codes & 15], values[codes >> 4]], axis=1)


def encode(values: Floats, name: str, scratch: Scratch) -> Bits:
    """Round float32 to a format by torch's name, as ``Tensor.to`` does; e8m0 too.

    The upper 16 bits of a value look the code up.  If a lower bit is set, so is the last of these: then
    they are on the same side of every halfway point as the value is.

    Args:
        values: flat.
        name: of the format.
        scratch: where the result is, until the next call with it.
    """
    bits = values.view(np.uint32)
    lower = scratch.take("bits", bits.size, np.uint32)
    np.bitwise_and(bits, 0xFFFF, out=lower)
    is_set = scratch.take("set", bits.size, np.bool_)
    np.not_equal(lower, 0, out=is_set)
    np.right_shift(bits, 16, out=lower)
    np.bitwise_or(lower, is_set, out=lower)
    found = scratch.take("cast", bits.size, np.uint8)
    return np.take(_codes(name), lower, out=found, mode="clip")


@cache
def _codes(name: str) -> Bits:
    """Return the code of each value of 16 bits, those of bfloat16."""
    values = (np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)).view(np.float32)
    with np.errstate(invalid="ignore"):
        return _encode_exponents(values) if name == "float8_e8m0fnu" else FORMATS[name].encode(values)


def _encode_exponents(values: Floats) -> Bits:
    """Round to powers of two as torch does: by the upper bits of the mantissa, without the sign."""
    bits = np.abs(values).view(np.uint32)
    exponent, mantissa = bits >> np.uint32(23), bits & np.uint32(0x7FFFFF)
    up = (mantissa > 0x400000) | ((mantissa == 0x400000) & (exponent > 0))
    return np.where(exponent == 255, 255, exponent + up).astype(np.uint8)
