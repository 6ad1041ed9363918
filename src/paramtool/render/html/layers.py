"""Which layer of a network a name is in, and what the rest of the name says it is there.

In a network of blocks a layer is a block: ``h.3`` of ``h.3.attn.weight``.  Numbers that count blocks are
those that several modules side by side have, so that the 0 in ``0.3.weight`` is none where all blocks are
in the first module of two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from paramtool.render.names import parts_of

FEWEST = (3, 2)
"""Modules side by side that are layers; the second where nothing in a name has as many as the first."""

_MOST_DIGITS = 19


class Place(NamedTuple):
    """A layer, and the rest of a name in it with further numbers as ``*``."""

    layer: str
    kind: str


def places(names: Iterable[str]) -> dict[str, Place]:
    """Return the place of each name."""
    parts = {name: parts_of(name) for name in names}
    beside: dict[str, set[str]] = {}
    for name, found in parts.items():
        for at, part in enumerate(found[:-1]):
            if _is_number(part):
                beside.setdefault(_path(name, found, at), set()).add(part)
    return {name: _place(name, found, beside) for name, found in parts.items()}


def _place(name: str, parts: list[str], beside: dict[str, set[str]]) -> Place:
    numbers = [at for at, part in enumerate(parts[:-1]) if _is_number(part)]
    for fewest in FEWEST:
        for at in numbers:
            if len(beside[_path(name, parts, at)]) >= fewest:
                return _cut(parts, at)
    return _cut(parts, 0) if len(parts) > 1 else Place("(model)", name)


def _cut(parts: list[str], at: int) -> Place:
    rest = ("*" if _is_number(each) else each for each in parts[at + 1 :])
    return Place(".".join(parts[: at + 1]), ".".join(rest))


def _path(name: str, parts: list[str], at: int) -> str:
    """Return what is before a part of a name."""
    return name[: sum(len(each) + 1 for each in parts[:at])]


def number_of(layer: str) -> tuple[str, int]:
    """Return what a layer is in, and its number there; itself and 0 if it has none."""
    before, dot, last = layer.rpartition(".")
    is_short = last.isdecimal() and len(last) < _MOST_DIGITS
    return (f"{before}{dot}", int(last)) if is_short else (layer, 0)


def _is_number(part: str) -> bool:
    return part.isdigit() or part[:1] == "{"
