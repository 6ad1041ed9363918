"""Find the modules in which everything differs in the same way, so that one line says it.  No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from paramtool.name_parts import modules_around
from paramtool.records.constructor import changed as with_fields
from paramtool.records.difference import DifferenceRow
from paramtool.records.parameter import ParameterRow

_OF_TENSORS = ("retyped", "frozen", "unfrozen")


def with_modules(
    rows: Iterable[DifferenceRow], a: Mapping[str, ParameterRow], b: Mapping[str, ParameterRow]
) -> list[DifferenceRow]:
    """Return `rows`, each with the largest module whose difference it is part of, if any.

    A module was renamed where every name in it was, and each ends as it did.  It was retyped or frozen
    where every tensor in it was that had that dtype, or was trainable.

    Args:
        rows: the differences between A and B.
        a, b: the names of A and of B.
    """
    rows = list(rows)
    renamed = _renamed([row for row in rows if row.change == "renamed"], a, b)
    changed = _changed([row for row in rows if row.change in _OF_TENSORS], a)
    modules = {"renamed": renamed, **dict.fromkeys(_OF_TENSORS, changed)}
    return [_with_module(row, modules.get(row.change, {}).get((row.change, row.name))) for row in rows]


def _with_module(row: DifferenceRow, module: tuple[str, str] | None) -> DifferenceRow:
    return row if module is None else with_fields(row, module=module)


_Found = dict[tuple[str, str], tuple[str, str]]


def _renamed(rows: Sequence[DifferenceRow], a: Iterable[str], b: Iterable[str]) -> _Found:
    groups: dict[tuple[str, str], list[DifferenceRow]] = {}
    for row in rows:
        groups.setdefault(_differing_ends(row.name, row.new_name or ""), []).append(row)
    size_a, size_b = _sizes(a), _sizes(b)
    found = {}
    for (was, now), group in groups.items():
        if len(group) == size_a[was] == size_b[now] and len({row.because for row in group}) == 1:
            found.update({(row.change, row.name): (was, now) for row in group})
    return found


def _differing_ends(was: str, now: str) -> tuple[str, str]:
    """Return the parts before the ending that both names share."""
    parts, others = was.split("."), now.split(".")
    while parts and others and parts[-1] == others[-1]:
        parts.pop()
        others.pop()
    return ".".join(parts), ".".join(others)


def _changed(rows: Sequence[DifferenceRow], a: Mapping[str, ParameterRow]) -> _Found:
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


def _sizes(names: Iterable[str]) -> Counter[str]:
    """Count the names in each module."""
    inside = Counter(name.rpartition(".")[:2] for name in names)  # many names are in one module
    sizes: Counter[str] = Counter()
    for (module, dot), count in inside.items():
        for path in modules_around(f"{module}{dot}_"):
            sizes[path] += count
    return sizes
