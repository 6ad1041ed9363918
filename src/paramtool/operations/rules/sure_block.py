"""A stand-in for a block of a tensor: it takes the numbers of a law that torch is sure to take."""

from __future__ import annotations

from math import isfinite
from typing import Any

from paramtool.structure.unsure import Unsure, require

_LARGEST_DRAWN = 1e37
"""Random numbers are drawn in float32, in which a range as wide as this has a length."""


class SureBlock:
    """Fills nothing; has the in-place methods of a tensor that laws use.

    Args:
        largest: the largest finite value of its dtype.

    Raises:
        Unsure: by each method, if torch might refuse its numbers.
    """

    def __init__(self, largest: float) -> None:
        self._largest = largest

    def normal_(self, mean: Any, std: Any, *, generator: object) -> SureBlock:
        """Take what torch draws normal numbers with."""
        del generator
        return self._if(_is_drawn(mean) and _is_drawn(std) and std >= 0)

    def uniform_(self, low: Any, high: Any, *, generator: object) -> SureBlock:
        """Take what torch draws uniform numbers with."""
        del generator
        return self._if(_is_drawn(low) and _is_drawn(high) and low <= high)

    def fill_(self, value: Any) -> SureBlock:
        """Take a value, which may be infinite or NaN."""
        is_odd = type(value) is float and not isfinite(value)
        return self._if(is_odd or self._holds(value))

    def zero_(self) -> SureBlock:
        """Take nothing."""
        return self

    def erfinv_(self) -> SureBlock:
        """Take nothing."""
        return self

    def add_(self, value: Any) -> SureBlock:
        """Take a number that the dtype holds."""
        return self._if(self._holds(value))

    def mul_(self, value: Any) -> SureBlock:
        """Take a number that the dtype holds."""
        return self._if(self._holds(value))

    def clamp_(self, low: Any, high: Any) -> SureBlock:
        """Take bounds that the dtype holds."""
        return self._if(all(each is None or self._holds(each) for each in (low, high)))

    def __getattr__(self, name: str) -> Any:
        raise Unsure(f"a law that calls {name}")

    def _if(self, is_sure: bool) -> SureBlock:
        require(is_sure, "numbers that torch may refuse")
        return self

    def _holds(self, value: Any) -> bool:
        return type(value) in (int, float) and abs(value) <= self._largest


def _is_drawn(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _LARGEST_DRAWN
