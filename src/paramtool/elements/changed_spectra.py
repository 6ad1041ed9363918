"""Compare the elements of two models, and look at the singular values of what changed."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np

from paramtool.elements.casts import cast
from paramtool.elements.changed_values import ChangedValues
from paramtool.elements.dtypes import Array
from paramtool.elements.elements import Elements
from paramtool.elements.scratch import Scratch
from paramtool.elements.spectrum import obstacle, sides, spectrum
from paramtool.records.difference import Spectrum, ValueChange

PRECISIONS = {
    "float64": 2.0**-52, "complex128": 2.0**-52, "float32": 2.0**-23, "complex64": 2.0**-23,
    "float16": 2.0**-10, "complex32": 2.0**-10, "bfloat16": 2.0**-7, "float8_e4m3fn": 2.0**-3,
    "float8_e4m3fnuz": 2.0**-3, "float8_e5m2": 2.0**-2, "float8_e5m2fnuz": 2.0**-2,
}  # fmt: skip
"""The distance from 1 to the next number; whole numbers are exact."""


class ChangedSpectra(ChangedValues):
    """`ChangedValues` with the `Spectrum` of each difference of two or more dimensions.

    Attributes:
        without_spectrum: why the singular values of a difference were not computed, by its name in B.
    """

    def __init__(
        self, a: Elements, b: Elements, *, atol: float = 0.0, rtol: float = 0.0, jobs: int = 1
    ) -> None:
        super().__init__(a, b, atol=atol, rtol=rtol, jobs=jobs)
        self.without_spectrum: dict[str, str] = {}

    def _change(self, a: str, b: str) -> ValueChange | None:
        found = super()._change(a, b)
        seen = None if found is None else self._spectrum(a, b, found.max_abs)
        return found if found is None or seen is None else replace(found, **asdict(seen))

    def _spectrum(self, a: str, b: str, max_abs: float) -> Spectrum | None:
        """Return what the singular values of the difference say; None if it is not a matrix, or not known."""
        shape = self._b.shape(b)
        if len(shape) < 2:
            return None
        reason = "an element is not finite" if not math.isfinite(max_abs) else obstacle(shape)
        if reason is None and self._b.dtype(b).values != 1:
            reason = f"{self._b.dtype(b).name} has two numbers in an element"
        if reason is not None:
            self.without_spectrum[b] = reason
            return None
        height, width = sides(shape)
        exponent = math.frexp(max_abs)[1]
        found = spectrum(
            lambda start, stop: self._rows(a, b, start * width, stop * width, exponent).reshape(-1, width),
            height,
            width,
            self._rounding(b, exponent),
        )
        if found is None:
            self.without_spectrum[b] = "the difference vanishes in float64"
        return found

    def _rounding(self, b: str, exponent: int) -> float:
        """Return how far elements of B may be off by the precision of their dtype, divided by 2^exponent."""
        dtype, scratch, square = self._b.dtype(b), Scratch(), 0.0
        precision = PRECISIONS.get(dtype.name, 0.0)
        for block in self._b.blocks(b) if precision else ():
            with np.errstate(over="ignore"):  # beside elements as large as that, no change has a rank
                part = np.abs(dtype.wide(block, scratch)).astype(np.float64) * _power(-exponent)
                square += float(part @ part)
        return precision * math.sqrt(square / max(1, math.prod(self._b.shape(b))))

    def _rows(self, a: str, b: str, start: int, stop: int, exponent: int) -> Array:
        """Return a part of the difference, b - a, in double precision and divided by 2^exponent."""
        old, new = self._a.dtype(a), self._b.dtype(b)
        found = np.empty(stop - start, np.complex128 if new.kind == "complex" else np.float64)
        scratch, one, other, at = Scratch(), Scratch(), Scratch(), 0
        for was, now in self._blocks(a, b, start, stop):
            part = found[at : at + now.size]
            np.copyto(part, new.wide(now, one))
            part -= new.wide(cast(was, old, new, scratch), other)
            at += now.size
        found *= _power(-exponent)
        return found


def _power(exponent: int) -> float:
    return math.ldexp(1.0, min(exponent, 1000))
