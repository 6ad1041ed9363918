"""Counts and sizes as people write and read them: ``124M`` is every count that rounds to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction  # slow to import, and most commands read no quantity

_SI = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
"""Prefixes; what people type ends at T, and k may be K."""

COUNTS = {"k": _SI["k"], "K": _SI["k"], "M": _SI["M"], "G": _SI["G"], "B": _SI["G"], "T": _SI["T"]}
"""What a suffix of a count stands for; B is a billion, as in a 7B model."""

SIZES = {
    "B": 1,
    **{f"{unit}{byte}": COUNTS[unit] for unit in "kKMGT" for byte in ("", "B")},
    **{f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", 1)},
}
"""What a suffix of a size stands for; B is a byte."""

_NUMBER = r"[0-9]{1,20}"
COUNT_PATTERN = rf"{_NUMBER}|{_NUMBER}(\.[0-9]{{1,20}})?[{''.join(COUNTS)}]"
SIZE_PATTERN = rf"{_NUMBER} ?B?|{_NUMBER}(\.[0-9]{{1,20}})? ?([kKMGT]B?|[KMGT]iB)"
"""How they are written; also what the JSON Schema of specs says."""

_WRITTEN = re.compile(r"(?P<number>[0-9]+)(\.(?P<decimals>[0-9]+))? ?(?P<unit>[A-Za-z]*)")


@dataclass(frozen=True)
class Quantity:
    """The counts that something written allows.

    Attributes:
        written: ``124M``, or ``max 124M`` for a bound.
        least, most: the smallest and the largest of them; None if there is no such bound.
    """

    written: str
    least: int | None = None
    most: int | None = None

    def __contains__(self, count: int) -> bool:
        return (self.least is None or self.least <= count) and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        return self.written


def about(written: str, units: dict[str, int]) -> Quantity:
    """Return the counts within half of the last digit of what is written: ``1.5k`` is 1450 to 1550.

    Both ends belong to them, so that it matters to nobody how a half is rounded.  Without a suffix, and
    where the last digit stands for one or less, that is the very number.

    Args:
        written: of `COUNT_PATTERN` or `SIZE_PATTERN`.
        units: `COUNTS` or `SIZES`.
    """
    value, step = _read(written, units)
    half = step / 2 if step > 1 else step * 0
    return Quantity(written, ceil(value - half), floor(value + half))


def between(least: str | None, most: str | None, units: dict[str, int]) -> Quantity:
    """Return the counts from `least` to `most`, both taken as the number that they say."""
    bounds = {"min": least, "max": most}
    written = ", ".join(f"{name} {bound}" for name, bound in bounds.items() if bound is not None)
    low = ceil(_read(least, units)[0]) if least is not None else None
    high = floor(_read(most, units)[0]) if most is not None else None
    return Quantity(written, low, high)


def _read(written: str, units: dict[str, int]) -> tuple[Fraction, Fraction]:
    """Return the number, and what one in its last digit is."""
    from fractions import Fraction

    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise ValueError(f"{written!r} is not a quantity")
    decimals = found["decimals"] or ""
    step = Fraction(units[found["unit"]] if found["unit"] else 1, 10 ** len(decimals))
    return int(found["number"] + decimals) * step, step


def byte_size(count: int) -> str:
    """Return `count` bytes in decimal units: ``76 B``, ``497.8 MB``."""
    if count < 1000:
        return f"{count} B"
    size, prefix = float(count), ""
    for prefix in _SI:  # noqa: B007 - the last one is for all that is larger
        size /= 1000
        if round(size, 1) < 1000:
            break
    return f"{size:,.1f} {prefix}B"


def counted(number: int, noun: str) -> str:
    """Return ``1 tensor``, ``2 tensors``, ``2 entries``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}{'es' if noun.endswith('ss') else 's'}"
    return f"{number:,} {noun if number == 1 else plural}"


def left_out(nan: int, inf: int) -> str | None:
    """Return what to say of statistics of finite elements beside so many others; None beside none."""
    found = [f"{nan:,} NaN{'' if nan == 1 else 's'}"] if nan else []
    found += [f"{inf:,} {'infinity' if inf == 1 else 'infinities'}"] if inf else []
    return f"statistics leave out {' and '.join(found)}" if found else None


def and_more(number: int, before: str = " ") -> str:
    """Return what follows the first of several: `` and 3 more``, or nothing if there are no more.

    Args:
        number: how many are not named.
        before: what separates it from the last name.
    """
    return f"{before}and {number:,} more" if number > 0 else ""
