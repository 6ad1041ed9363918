"""Fold the differences of what is deep in a model into one of each module.  No torch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from paramtool.name_parts import parts
from paramtool.records.constructor import changed
from paramtool.records.difference import NAMED, Aspect, DifferenceRow, Differences
from paramtool.render.fold import pooled


def fold_depth(report: Differences, depth: int) -> Differences:
    """Return one row for each kind of change in each module of `depth` parts, and the rest as it is.

    A row counts its differences and adds up `differing`; of the other measures it has the worst: the
    largest, and of `cosine` and the shares the smallest.  `was` and `now` are what all agree in.

    Args:
        report: what differs.
        depth: parts of a name to keep, 1 or more.
    """
    groups: dict[Hashable, list[DifferenceRow]] = {}
    for row in report.rows:
        names = [_cut(getattr(row, key), depth) for key in ("name", *NAMED.get(row.change, ()))]
        groups.setdefault((row.change, *names), []).append(row)
    at = report.columns.index("name") + 1
    return replace(
        report,
        rows=tuple(_folded(group, depth) for group in groups.values()),
        columns=(*report.columns[:at], "count", *report.columns[at:]),
    )


def _folded(rows: Sequence[DifferenceRow], depth: int) -> DifferenceRow:
    """Return the row of several differences; one alone stays what it is."""
    first = rows[0]
    if len(rows) == 1:
        return first
    named = NAMED.get(first.change, ())
    agreed: dict[str, Any] = {
        key: _cut(getattr(first, key), depth) if key in named else _common(rows, key)
        for key in ("was", "now", "tied_to", "because")
    }
    return changed(first, **pooled(rows), **agreed, name=_cut(first.name, depth), module=None)


def _cut(name: Aspect, depth: int) -> Aspect:
    return ".".join(parts(name)[:depth]) if isinstance(name, str) else name


def _common(rows: Sequence[DifferenceRow], key: str) -> object:
    distinct = {getattr(row, key) for row in rows}
    return distinct.pop() if len(distinct) == 1 else None
