"""The picture of `check`: what is broken first, then what could not be checked, then what is kept."""

from __future__ import annotations

from dataclasses import replace

from paramtool.records.expectation import Expectations
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
    parts = [
        section(title, tables(replace(report, rows=tuple(rows)), title))
        for title, rows in kinds.items()
        if rows
    ]
    return together(parts)
