"""The percent that each row is of all rows, and a bar of it, in a table that leaves room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paramtool.records.column import Column
from paramtool.records.report import Report
from paramtool.render.bars import LONGEST, bar
from paramtool.render.fit import fit
from paramtool.render.screen import Screen
from paramtool.render.section import Section

_COLUMN = Column("bar", tone="accent", name="    %")


def with_proportions(
    report: Report[Any, Any], section: Section, cells: list[list[str]], screen: Screen
) -> tuple[list[Column], list[list[str]]]:
    """Return the columns and cells of a table with percents and bars after the numbers, or as they are.

    They stay as they are if the table gets too wide even where what is the same in every row is said once
    below.  The longest bar is that of the largest part.
    """
    columns = section.facts
    at = next((index for index, each in enumerate(columns) if each.of_whole), None)
    parts = None if at is None else _parts(report, section, columns[at].name)
    if at is None or parts is None or screen.width is None:
        return columns, cells
    largest = max((part for part in parts if part is not None), default=0) or 1
    added = [
        ""
        if part is None or not row[at]  # a number that says nothing has no percent either
        else f"{_percent(part):>5} {bar(round(part / largest * 8 * LONGEST), screen.unicode)}"
        for part, row in zip(parts, cells, strict=True)
    ]
    wider = [*columns[: at + 1], _COLUMN, *columns[at + 1 :]]
    rows = [[*row[: at + 1], cell, *row[at + 1 :]] for row, cell in zip(cells, added, strict=True)]
    fitted = fit(wider, rows, screen.width - 1)
    return (columns, cells) if fitted is None or fitted.left_out else (wider, rows)


def _parts(report: Report[Any, Any], section: Section, name: str) -> Sequence[float | None] | None:
    """Return the part of the whole for each row, None for one that counts elsewhere; None for a single row.

    The whole is what the column `name` adds up to over all tensors, each once, those that the report
    leaves out too.
    """
    values = [getattr(row, name) if row.counted else None for row in section.rows]
    whole = getattr(report.others, name, 0) + sum(value or 0 for value in values)
    if len(values) < 2 or not whole:
        return None
    return [None if value is None else value / whole for value in values]


def _percent(part: float) -> str:
    return "<0.1" if 0 < part < 0.0005 else f"{100 * part:.1f}"
