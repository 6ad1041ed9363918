"""Names as people see them: folded over their numbers, ``h.{0..11}.weight``, and harmless wherever shown.

A name may be untrusted input: it must not act on a terminal or in a CI log, and it is never cut.
"""

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

COMMAND = re.compile(r"##(?=\w*\[)")
"""What a CI runner obeys, wherever it stands in a line."""

_BIDI = frozenset(map(chr, (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))

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


def shown(text: str) -> str:
    r"""Return `text` with control, bidi and other unprintable characters as ``\x1b``, ``\u202e``.

    A CI runner takes ``::word::`` at the start of a line, and ``##[``, ``##vso[`` or ``##teamcity[``
    anywhere, for a command; the first character of these is written as an escape as well.
    """
    if not (text.isprintable() and _BIDI.isdisjoint(text)):
        text = "".join(each if _is_harmless(each) else _escaped(each) for each in text)
    if text.lstrip().startswith("::"):
        text = text.replace(":", "\\x3a", 1)
    return COMMAND.sub(r"\\x23#", text) if "##" in text else text


def are_plain(names: Sequence[str]) -> bool:
    """Return whether `shown` surely leaves all of these names as they are, at one look."""
    text = "".join(names)
    return text.isascii() and text.isprintable() and "::" not in text and "##" not in text


def together(names: Sequence[str]) -> str:
    """Return names one after the other; those that differ in one running number as ``{3..7}.weight``."""
    parts = list(zip(*(name.split(".") for name in names), strict=False))
    differing = [index for index, each in enumerate(parts) if len(set(each)) > 1]
    if len(differing) == 1 and len({name.count(".") for name in names}) == 1:
        found = parts[differing[0]]
        first = int(found[0]) if re.fullmatch("[0-9]{1,9}", found[0]) else 0
        if found == tuple(str(first + index) for index in range(len(names))):
            folded = span(first, first + len(found) - 1)
            return ".".join(folded if each is found else each[0] for each in parts)
    return ", ".join(names)


def _is_harmless(character: str) -> bool:
    return character.isprintable() and character not in _BIDI


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
