"""Find the modules in which everything differs in the same way, so that one line says it.  No torch."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias

from paramtool.name_parts import MOST_PARTS, modules_around
from paramtool.operations.comparison.renames import Pairing
from paramtool.records.difference import DifferenceRow
from paramtool.records.parameter import ParameterRow

Paths: TypeAlias = "tuple[str, str]"
"""The old and the new path of a module."""

_MOST_KNOWN = 4
"""Levels above a name at which its modules are looked up among others."""

_OF_TENSORS = ("retyped", "frozen", "unfrozen")


def renamed_modules(pairings: Sequence[Pairing], a: Iterable[str], b: Iterable[str]) -> dict[str, Paths]:
    """Return the largest module that was renamed with all that is in it, by the old names in it.

    That is a module in which every name was renamed for the same reason, and ends as it did.

    Args:
        pairings: the old and new names of what was renamed.
        a, b: the names of A and of B.
    """
    groups: dict[Paths, list[Pairing]] = {}
    known: dict[Paths, Paths] = {}
    for pairing in pairings:
        groups.setdefault(_differing_ends(pairing.was, pairing.now, known), []).append(pairing)
    size_a, size_b = _sizes(a, {was for was, _ in groups}), _sizes(b, {now for _, now in groups})
    found: dict[str, Paths] = {}
    for paths, group in groups.items():
        was, now = paths
        is_whole = len(group) == size_a.get(was, 0) == size_b.get(now, 0)
        if is_whole and len({pairing.because for pairing in group}) == 1:
            found.update(dict.fromkeys([pairing.was for pairing in group], paths))
    return found


def _differing_ends(was: str, now: str, known: dict[Paths, Paths]) -> Paths:
    """Return the parts before the ending that both names share.

    Args:
        was, now: the names.
        known: what was found for modules of earlier names; most names share one with another name.
    """
    passed: list[Paths] = []
    found = None
    while found is None and len(passed) < _MOST_KNOWN:
        own, _, last = was.rpartition(".")
        other, _, other_last = now.rpartition(".")
        if last != other_last or not (own and other):
            break
        was, now = around = own, other
        found = known.get(around)
        if found is None:
            passed.append(around)
    if found is None:
        found = _ends(was, now)
    for around in passed:
        known[around] = found
    return found


def _ends(was: str, now: str) -> Paths:
    own, others = was.split("."), now.split(".")
    while own and others and own[-1] == others[-1]:
        own.pop()
        others.pop()
    return ".".join(own), ".".join(others)


def changed_modules(
    rows: Iterable[DifferenceRow], a: Mapping[str, ParameterRow]
) -> dict[tuple[str, str], Paths]:
    """Return the largest module in which everything changed as a row says, by its change and name.

    A module was retyped or frozen if every tensor in it was that had that dtype, or was trainable.

    Args:
        rows: the differences between A and B.
        a: the names of A.
    """
    rows = [row for row in rows if row.change in _OF_TENSORS]
    if not rows:
        return {}
    before = {change: _sizes_before(change, a.values()) for change in _OF_TENSORS}
    after: dict[Hashable, Counter[str]] = {}
    for row in rows:
        after.setdefault((row.change, row.was, row.now), Counter()).update(modules_around(row.name))
    found = {}
    for row in rows:
        there = before[row.change].get(_before(row.change, a[row.name]), Counter())
        now = after[row.change, row.was, row.now]
        whole = next((path for path in modules_around(row.name) if there[path] == now[path]), None)
        if whole is not None:
            found[row.change, row.name] = (whole, whole)
    return found


def _sizes_before(change: str, rows: Iterable[ParameterRow]) -> dict[Hashable, Counter[str]]:
    """Count the tensors in each module by what they were."""
    counts: dict[Hashable, Counter[str]] = {}
    for row in rows:
        if row.tied_to is None:
            counts.setdefault(_before(change, row), Counter()).update(modules_around(row.name))
    return counts


def _before(change: str, row: ParameterRow) -> Hashable:
    return row.dtype if change == "retyped" else row.requires_grad


def _sizes(names: Iterable[str], modules: Iterable[str]) -> dict[str, int]:
    """Count the names in each of `modules`, without those that are deeper than `MOST_PARTS`."""
    known = sorted(names)  # where the names in a module stand together: "/" comes next after "."
    return {
        module: bisect_left(known, f"{module}/") - bisect_left(known, f"{module}.") if module else len(known)
        for module in modules
        if module.count(".") < MOST_PARTS
    }
