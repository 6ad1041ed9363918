"""The percent that each row is of all rows, and a bar of it, in a table that leaves room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paramtool.records.column import Column
from paramtool.records.report import Report
from paramtool.render.fit import fit
from paramtool.render.section import BAR, Section, bar

LEAST_WIDTH = 100
"""Columns of a terminal that is wide."""

_COLUMN = Column("bar", tone="accent", name="    %")


def proportions(report: Report[Any, Any], section: Section) -> list[float | None] | None:
    """Return the part of the whole for each row, None for one that counts elsewhere; None for no column.

    The whole is what the column that is marked `Column.of_whole` adds up to over all tensors, each
    once, those that the report leaves out too.
    """
    column = next((each for each in section.facts if each.of_whole), None)
    if column is None or len(section.rows) < 2:
        return None
    values = [getattr(row, column.name) if row.counted else None for row in section.rows]
    others = getattr(report.others, column.name, 0)
    whole = others + sum(value or 0 for value in values)
    return [None if value is None else value / whole for value in values] if whole else None


def with_proportions(
    columns: Sequence[Column],
    cells: list[list[str]],
    parts: Sequence[float | None],
    width: int,
    unicode: bool,
) -> tuple[Sequence[Column], list[list[str]]]:
    """Return the table with a column of percents and bars after the numbers, or as it is.

    It stays as it is if that is too wide even where what is the same in every row is said once below.  The
    longest bar is that of the largest part.
    """
    largest = max((part for part in parts if part is not None), default=0) or 1
    added = [
        "" if part is None else f"{_percent(part):>5} {bar(round(part / largest * 8 * BAR), unicode)}"
        for part in parts
    ]
    at = 1 + next(index for index, each in enumerate(columns) if each.of_whole)
    wider = [*columns[:at], _COLUMN, *columns[at:]]
    rows = [[*row[:at], cell, *row[at:]] for row, cell in zip(cells, added, strict=True)]
    fitted = fit(wider, rows, width)
    if fitted is None or fitted.left_out:
        return columns, cells
    return wider, rows


def _percent(part: float) -> str:
    return "<0.1" if 0 < part < 0.0005 else f"{100 * part:.1f}"
