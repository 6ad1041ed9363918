"""Fold names that are deeper than asked for into one row a module.  No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from paramtool.records.moments import pooled_mean, pooled_std
from paramtool.records.parameter import ParameterRow

T = TypeVar("T")


def fold_depth(rows: Iterable[ParameterRow], depth: int, modules: Mapping[str, str]) -> list[ParameterRow]:
    """Return a row for each name of at most `depth` parts, and one for each module that goes deeper.

    A module with a single tensor keeps that tensor's shape, under its own class.  A row of several adds
    up the tensors that the totals count there, so the rows add up to the totals.  Its statistics are those
    of all their elements together: mean and std as in `paramtool.records.moments`, the norm is the root
    of the sum of the squared norms; there is no histogram, since the bins of two tensors differ.

    Args:
        rows: rows in any order; folded rows stand where their first name stood.
        depth: parts of a name to keep, 1 or more.
        modules: class names by module path.
    """
    groups: dict[tuple[str, str], list[ParameterRow]] = {}
    for row in rows:
        parts = row.name.split(".")
        groups.setdefault((".".join(parts[:depth]), row.kind), []).append(row)
    return [
        _renamed(group[0], name, modules) if len(group) == 1 else _fold(name, group, modules.get(name))
        for (name, _), group in groups.items()
    ]


def _renamed(row: ParameterRow, name: str, modules: Mapping[str, str]) -> ParameterRow:
    return row if name == row.name else replace(row, name=name, type=modules.get(name))


def _fold(name: str, group: list[ParameterRow], module_type: str | None) -> ParameterRow:
    counted = [row for row in group if row.counted]
    return ParameterRow(
        name=name,
        type=module_type,
        shape=None,
        dtype=_common(row.dtype for row in group),
        numel=sum(row.numel or 0 for row in counted),
        nbytes=sum(row.nbytes or 0 for row in counted),
        requires_grad=_common(row.requires_grad for row in group),
        kind=group[0].kind,
        persistent=_common(row.persistent for row in group),
        count=len(group),
        **_statistics(counted),
    )


def _statistics(rows: Sequence[ParameterRow]) -> dict[str, Any]:
    """Return the statistics of all elements together; nothing if those of a tensor are not known."""
    if not rows or any(row.nan is None or row.inf is None or row.numel is None for row in rows):
        return {}
    counts = [(row.numel or 0) - (row.nan or 0) - (row.inf or 0) for row in rows]
    means = [row.mean for row in rows]
    mean = pooled_mean(counts, means)
    lows, highs = [row.min for row in rows], [row.max for row in rows]
    norms = [row.norm for row in rows if row.norm is not None]
    return {
        "mean": mean,
        "std": pooled_std(counts, means, [row.std for row in rows]),
        "min": None if mean is None else min(low for low in lows if low is not None),
        "max": None if mean is None else max(high for high in highs if high is not None),
        "norm": math.hypot(*norms) if norms else None,
        **{key: sum(getattr(row, key) or 0 for row in rows) for key in ("zeros", "nan", "inf")},
    }


def _common(values: Iterable[T]) -> T | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
