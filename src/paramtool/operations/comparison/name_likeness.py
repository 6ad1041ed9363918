"""How alike two parts of names are, and which of many are each other's best match."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")
Score: TypeAlias = "tuple[float, ...]"

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def mutually_best(
    first: Sequence[Item], second: Sequence[Item], score: Callable[[Item, Item], Score | None]
) -> list[tuple[Item, Item]]:
    """Return the pairs in which each is the other's best, and none is as good.

    Args:
        first, second: what is to be paired.
        score: larger is better; None for what never pairs.
    """
    scores = [[score(one, other) for other in second] for one in first]
    best = [_only_best(row) for row in scores]
    back = [_only_best([row[index] for row in scores]) for index in range(len(second))]
    return [
        (one, second[index])
        for number, one in enumerate(first)
        if (index := best[number]) is not None and back[index] == number
    ]


def _only_best(scores: Sequence[Score | None]) -> int | None:
    known = sorted(((score, index) for index, score in enumerate(scores) if score is not None), reverse=True)
    if not known or (len(known) > 1 and known[0][0] == known[1][0]):
        return None
    return known[0][1]


def name_likeness(one: str, other: str) -> float:
    """Return how much two parts of names have in common: their words, then how they begin."""
    words, others = set(_words(one)), set(_words(other))
    shared = len(words & others) / (len(words | others) or 1)
    begin = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return shared + (0.5 * begin / max(len(one), len(other), 1) if not one[:1].isdigit() else 0)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]
