"""Numbers in names: what is folded over them, and how it is written, ``h.{0..11}.weight``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from paramtool.name_parts import MOST_PARTS

FEWEST = 3
"""Numbers in a row that are worth folding."""

NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]{0,8})", re.DOTALL)
"""A part of a name that ends in a number."""

_DOT = re.compile(r"(?<!\.)\.(?!\.)")  # torch refuses empty parts, so ".." is only ever ours
_SPAN = re.compile(r"\{([0-9]+)\.\.[0-9]+\}")

Numbered = TypeVar("Numbered", bound="tuple[Any, ...]")


def parts_of(name: str) -> list[str]:
    """Split a name, folded or not, into its parts: ``h``, ``{0..11}``, ``weight``."""
    return _DOT.split(name, MOST_PARTS)


def first_of(name: str) -> str:
    """Return the first name that a folded one stands for: ``h.{0..11}.attn`` to ``h.0.attn``."""
    return _SPAN.sub(r"\1", name)


def span(first: int, last: int) -> str:
    """Write the numbers from `first` to `last`."""
    return f"{{{first}..{last}}}"


def runs(numbered: Sequence[Numbered]) -> list[list[Numbered]]:
    """Split what begins with a number, in the order of these, into runs without a gap."""
    found = [[numbered[0]]]
    for each in numbered[1:]:
        if each[0] == found[-1][-1][0] + 1:
            found[-1].append(each)
        else:
            found.append([each])
    return found
