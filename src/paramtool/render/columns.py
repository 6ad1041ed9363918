"""The columns that a person is shown: those that say something."""

from __future__ import annotations

from typing import Any

from paramtool.records.report import Report

_STATISTICS = ("mean", "std", "min", "max")

NUMERIC = frozenset(
    (
        "group", "count", "numel", "nbytes", "start", "stop", "norm", "zeros", "nan", "inf",
        "differing", "max_abs", "relative_rms", "cosine",
        *_STATISTICS,
        *(f"{each}_before" for each in _STATISTICS),
        *(f"expected_{each}" for each in _STATISTICS),
    )
)  # fmt: skip
"""Columns that are set flush right."""

_OPTIONAL = (
    "tied_to", "persistent", "skipped", "note", "expected_mean", "expected_std", "module", "start", "stop",
    "was", "now", "because", "differing", "max_abs", "relative_rms", "cosine",
    "place",
)  # fmt: skip

_OF_MODULES = ("type", "requires_grad")
"""Columns of which a checkpoint says nothing."""

_USUAL = {"shared": {"kind": ("parameter", "stored")}}
"""By command: a column in which every row has one of these says nothing."""


def columns_for_people(report: Report[Any, Any]) -> list[str]:
    """Return the columns to lay out: without those in which no row has anything, values apart."""
    if report.command == "diff" and not report.rows:  # a sentence says it
        return []
    columns = [column for column in report.columns if column not in ("values", "count")]
    columns.insert(columns.index("name") + 1, "count")
    usual = {"count": (1,), **_USUAL.get(report.command, {})}
    optional = {*_OPTIONAL, *usual, *(_OF_MODULES if report.rows else ())}
    return [
        column
        for column in columns
        if column not in optional
        or any(getattr(row, column) not in (None, *usual.get(column, ())) for row in report.rows)
    ]
