"""The picture of `check`: what is broken first, then what could not be checked, then what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paramtool.records.expectation import ExpectationRow, Expectations
from paramtool.render.html.markup import Markup, together
from paramtool.render.html.table import tables
from paramtool.render.html.view import section


def draw(report: Expectations) -> Markup:
    """Return the parts of a check."""
    kinds = {
        "Broken": [row for row in report.rows if row.holds is False],
        "Cannot be checked": [row for row in report.rows if row.holds is None],
        "Kept": [row for row in report.rows if row.holds],
    }
    parts = [section(title, tables(_part(report, rows), title)) for title, rows in kinds.items() if rows]
    return together(parts)


def _part(report: Expectations, rows: Sequence[ExpectationRow]) -> Expectations:
    """Return the report of some rows; an error needs the room of the columns of an expectation."""
    columns = report.columns
    if not report.is_chosen:
        columns = tuple(name for name in columns if any(getattr(row, name) is not None for row in rows))
    return replace(report, rows=tuple(rows), columns=columns)
