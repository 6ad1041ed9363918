"""The columns that a person is shown: those that say something."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from paramtool.records.gradient import MOST_INLINE
from paramtool.records.parameter import Printed
from paramtool.records.report import Report
from paramtool.render.views import View, view_of

_STATISTICS = ("mean", "std", "min", "max")

NUMERIC = frozenset(
    (
        "group", "count", "numel", "nbytes", "start", "stop", "norm", "zeros", "nan", "inf", "uses", "call",
        "share", "cosine", "abs_max", "ratio", "differing", "max_abs",
        "relative_rms",
        *_STATISTICS,
        *(f"{each}_before" for each in _STATISTICS),
        *(f"expected_{each}" for each in _STATISTICS),
    )
)  # fmt: skip
"""Columns that are set flush right."""

_OPTIONAL = (
    "tied_to", "persistent", "skipped", "note", "expected_mean", "expected_std", "module", "start", "stop",
    "was", "now", "because", "differing", "max_abs", "relative_rms", "place",
    "tied", "uses", "call", "operation", "share", "cosine", "gradient",
)  # fmt: skip

_OF_MODULES = ("type", "requires_grad")
"""Columns of which a checkpoint says nothing."""

_FOR_MACHINES = ("min_before", "max_before")
"""Columns that would make a table wider than most terminals, and say less than the others."""


@dataclass(frozen=True)
class Section:
    """One table for people; `least` is that of its `View`."""

    columns: list[str]
    rows: Sequence[Any]
    caption: str | None = None
    least: Sequence[str] = ()


def sections(report: Report[Any, Any]) -> Iterator[Section]:
    """Yield the tables of `report`, each with the columns in which some row says something."""
    view = view_of(report)
    if not report.parts:
        yield Section(columns_for_people(report), report.rows, None, view.least)
    for part in report.parts:
        rows = [row for row in report.rows if row.kind in part.kinds]
        yield Section(_columns(view, part.columns, rows), rows, part.caption, view.least)


def columns_for_people(report: Report[Any, Any]) -> list[str]:
    """Return the columns to lay out where all rows are in one table."""
    return _columns(view_of(report), report.columns, report.rows)


def inline(value: Printed) -> str | None:
    """Return the elements as torch prints them, on one line; None where that is too much for a cell."""
    if _count(value.values) > MOST_INLINE:
        return None
    text = re.sub(r"\s*\n\s*", " ", value.text.removeprefix("tensor("))
    return re.sub(r"(, \w+=[\w.'<>:()]+)*\)$", "", text)


def _columns(view: View, columns: Sequence[str], rows: Sequence[Any]) -> list[str]:
    """Return the columns to lay out: without those in which no row has anything, values apart."""
    if view.says_nothing_in_words and not rows:
        return []
    columns = [column for column in columns if column not in ("values", "count", *_FOR_MACHINES)]
    columns.insert(columns.index("name") + 1 if "name" in columns else 1, "count")
    usual = {"count": (1,), **view.usual}
    optional = {*_OPTIONAL, *usual, *(_OF_MODULES if rows else ())}
    return [
        column
        for column in columns
        if column not in optional
        or any(_says_something(getattr(row, column), usual.get(column, ())) for row in rows)
    ]


def _says_something(value: Any, usual: Sequence[Any]) -> bool:
    if isinstance(value, Printed):
        return inline(value) is not None
    return value not in (None, (), *usual)


def _count(values: Any) -> int:
    if values is None:
        return MOST_INLINE + 1
    return sum(_count(each) for each in values) if isinstance(values, tuple) else 1
