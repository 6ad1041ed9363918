"""The notation that types are written in: ``int | (int, int) | None``, ``[float]``, ``'zeros' | 'same'``.

One notation serves the shipped catalogue of torch's signatures, the constructs of the language,
error messages and the JSON Schema.

    atom    int float bool str dtype tensor module any None name regex quantity size, or a 'quoted' word
    list    [T]         any number of T
    tuple   (T, U)      exactly these
    union   T | U
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

ATOMS = (
    "int", "float", "bool", "str", "dtype", "tensor", "module", "any", "None", "name", "regex", "quantity",
    "size",
)  # fmt: skip
_TOKEN = re.compile(r"\s*('[^']*'|\w+|[\[\](),|])")


@dataclass(frozen=True)
class Atom:
    name: str


@dataclass(frozen=True)
class Literal:
    word: str


@dataclass(frozen=True)
class ListOf:
    item: Union


@dataclass(frozen=True)
class TupleOf:
    items: tuple[Union, ...]


Alternative: TypeAlias = Atom | Literal | ListOf | TupleOf


@dataclass(frozen=True)
class Union:
    """Any one of the alternatives, tried in order."""

    alternatives: tuple[Alternative, ...]

    def allows(self, atom: str) -> bool:
        return any(isinstance(kind, Atom) and kind.name == atom for kind in self.alternatives)


@cache
def parse(notation: str) -> Union:
    """Return the type that `notation` writes.

    Raises:
        ValueError: if it is not of the notation.
    """
    tokens = _TOKEN.findall(notation)
    if "".join(tokens) != re.sub(r"\s+", "", notation):
        raise ValueError(f"cannot read the type {notation!r}")
    parsed, rest = _union(tokens)
    if rest:
        raise ValueError(f"cannot read the type {notation!r} from {rest[0]!r}")
    return parsed


def _union(tokens: list[str]) -> tuple[Union, list[str]]:
    first, rest = _alternative(tokens)
    alternatives = [first]
    while rest[:1] == ["|"]:
        following, rest = _alternative(rest[1:])
        alternatives.append(following)
    return Union(tuple(alternatives)), rest


def _alternative(tokens: list[str]) -> tuple[Alternative, list[str]]:
    if not tokens:
        raise ValueError("a type ends too early")
    head, rest = tokens[0], tokens[1:]
    if head.startswith("'"):
        return Literal(head[1:-1]), rest
    if head == "[":
        item, rest = _union(rest)
        return ListOf(item), _expect("]", rest)
    if head == "(":
        items = []
        while rest[:1] != [")"]:
            item, rest = _union(rest)
            items.append(item)
            if rest[:1] == [","]:
                rest = rest[1:]
        return TupleOf(tuple(items)), rest[1:]
    if head in ATOMS:
        return Atom(head), rest
    raise ValueError(f"no type is called {head!r}")


def _expect(token: str, tokens: list[str]) -> list[str]:
    if tokens[:1] != [token]:
        raise ValueError(f"a type lacks its {token!r}")
    return tokens[1:]
