"""Find the modules in which everything differs in the same way, so that one line says it.  No torch."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias

from paramtool.name_parts import MOST_PARTS, modules_around
from paramtool.records.difference import DifferenceRow
from paramtool.records.parameter import ParameterRow

Modules: TypeAlias = "dict[tuple[str, str], tuple[str, str]]"

_OF_TENSORS = ("retyped", "frozen", "unfrozen")


def whole_modules(
    rows: Sequence[DifferenceRow], a: Mapping[str, ParameterRow], b: Mapping[str, ParameterRow]
) -> Modules:
    """Return the largest module whose difference a row is part of, old and new path, by change and name.

    A module was renamed where every name in it was, and each ends as it did.  It was retyped or frozen
    where every tensor in it was that had that dtype, or was trainable.

    Args:
        rows: the differences between A and B.
        a, b: the names of A and of B.
    """
    renamed = _renamed([row for row in rows if row.change == "renamed"], a, b)
    return renamed | _changed([row for row in rows if row.change in _OF_TENSORS], a)


def _renamed(rows: Sequence[DifferenceRow], a: Iterable[str], b: Iterable[str]) -> Modules:
    if not rows:
        return {}
    groups: dict[tuple[str, str], list[DifferenceRow]] = {}
    for row in rows:
        groups.setdefault(_differing_ends(row.name, row.new_name or ""), []).append(row)
    size_a, size_b = _sizes(a, {was for was, _ in groups}), _sizes(b, {now for _, now in groups})
    found = {}
    for (was, now), group in groups.items():
        if (
            len(group) == size_a.get(was, 0) == size_b.get(now, 0)
            and len({row.because for row in group}) == 1
        ):
            found.update({(row.change, row.name): (was, now) for row in group})
    return found


def _differing_ends(was: str, now: str) -> tuple[str, str]:
    """Return the parts before the ending that both names share."""
    own, others = was.split("."), now.split(".")
    while own and others and own[-1] == others[-1]:
        own.pop()
        others.pop()
    return ".".join(own), ".".join(others)


def _changed(rows: Sequence[DifferenceRow], a: Mapping[str, ParameterRow]) -> Modules:
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
    """Count the names in each of `modules`, none of which is looked for deeper than `MOST_PARTS`."""
    known = sorted(names)  # where the names in a module stand together: "/" comes next after "."
    return {
        module: bisect_left(known, f"{module}/") - bisect_left(known, f"{module}.") if module else len(known)
        for module in modules
        if module.count(".") < MOST_PARTS
    }
