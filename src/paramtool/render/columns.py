"""The columns that a person is shown: those that say something."""

from __future__ import annotations

from typing import Any

from paramtool.records.report import Report

_STATISTICS = ("mean", "std", "min", "max")

NUMERIC = frozenset(
    (
        "count", "numel", "nbytes", "norm", "zeros", "nan", "inf",
        *_STATISTICS,
        *(f"{each}_before" for each in _STATISTICS),
        *(f"expected_{each}" for each in _STATISTICS),
    )
)  # fmt: skip
"""Columns that are set flush right."""

_OPTIONAL = ("tied_to", "persistent", "count", "skipped", "note", "expected_mean", "expected_std")
_OF_MODULES = ("type", "requires_grad")
"""Columns of which a checkpoint says nothing."""


def columns_for_people(report: Report[Any, Any]) -> list[str]:
    """Return the columns to lay out: without those in which no row has anything, values apart."""
    columns = [column for column in report.columns if column not in ("values", "count")]
    columns.insert(1, "count")
    optional = {*_OPTIONAL, *(_OF_MODULES if report.rows else ())}
    return [
        column
        for column in columns
        if column not in optional or any(_says_something(row, column) for row in report.rows)
    ]


def _says_something(row: Any, column: str) -> bool:
    value = getattr(row, column)
    return value is not None and not (column == "count" and value == 1)
