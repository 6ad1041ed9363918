"""The columns that a person is shown: those that say something."""

from __future__ import annotations

from typing import Any

from paramtool.records.report import Report

NUMERIC = frozenset(("count", "numel", "nbytes", "mean", "std", "min", "max", "norm", "zeros", "nan", "inf"))
"""Columns that are set flush right."""

_OPTIONAL = ("tied_to", "persistent", "count")


def columns_for_people(report: Report[Any, Any]) -> list[str]:
    """Return the columns to lay out: without those in which no row has anything, values apart."""
    columns = [column for column in report.columns if column not in ("values", "count")]
    columns.insert(1, "count")
    return [
        column
        for column in columns
        if column not in _OPTIONAL or any(getattr(row, column) not in (None, 1) for row in report.rows)
    ]
