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
        """Return what the singular values of the difference say; None if it is no matrix, or not known."""
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
        return spectrum(
            lambda start, stop: self._rows(a, b, start * width, stop * width, exponent).reshape(-1, width),
            height,
            width,
        )

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
        found *= math.ldexp(1.0, -exponent) if exponent > -1000 else math.ldexp(1.0, 1000)
        return found
