"""Pairs of a tensor of A and one of B, and the ties in which they differ.  No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from paramtool.records.difference import DifferenceRow
from paramtool.records.parameter import ParameterRow


class Pair(NamedTuple):
    """What A and B have under one name, or under two that are paired."""

    was: ParameterRow
    now: ParameterRow


def have_elements(pair: Pair) -> bool:
    """Return whether the elements of a pair can be compared one with one."""
    return pair.was.shape is not None and pair.was.shape == pair.now.shape


def compared(pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    """Return the names of tensors whose elements are compared: each pair of tensors once."""
    first: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        first.setdefault((pair.was.tensor, pair.now.tensor), pair)
    return [(pair.was.name, pair.now.name) for pair in first.values() if have_elements(pair)]


def difference_of(pair: Pair, change: str, **fields: Any) -> DifferenceRow:
    """Return the row for how a pair differs."""
    return DifferenceRow(change=change, name=pair.was.name, new_name=pair.now.name, **fields)


def untied(pairs: Collection[Pair]) -> Iterator[DifferenceRow]:
    """Yield a row for each tensor of B, except the first, among the names that share one tensor in A."""
    if all(pair.was.tied_to is None for pair in pairs):
        return
    groups: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.was.tensor, {}).setdefault(pair.now.tensor, pair)
    for first, *others in (list(group.values()) for group in groups.values()):
        for pair in others:
            yield difference_of(pair, "untied", was=first.was.name)


def tied(pairs: Collection[Pair], b: Mapping[str, ParameterRow]) -> Iterator[DifferenceRow]:
    """Yield a row for each tensor of A, except the first, among the names that share one tensor in B."""
    if all(pair.now.tied_to is None for pair in pairs):
        return
    order = {name: index for index, name in enumerate(b)}
    groups: dict[str, dict[str, Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: order[pair.now.name]):
        groups.setdefault(pair.now.tensor, {}).setdefault(pair.was.tensor, pair)
    for first, *others in (list(group.values()) for group in groups.values()):
        for pair in others:
            yield difference_of(pair, "tied", now=first.now.name)
