"""The picture of `diff`: where the changes are, and was and now side by side."""

from __future__ import annotations

from dataclasses import replace

from paramtool.records.column import column_of
from paramtool.records.difference import CHANGES, DifferenceRow, Differences
from paramtool.render.html.drawings import bar
from paramtool.render.html.heat_map import heat_map
from paramtool.render.html.markup import EMPTY, Markup, tag, text, together
from paramtool.render.html.table import plain_table, tables
from paramtool.render.html.view import section


def draw(report: Differences) -> Markup:
    """Return the parts of a comparison."""
    return together(
        [
            section("Changes", _counts(report)),
            section("Where", heat_map(report.rows, "relative_rms")),
            section("Directions", heat_map(report.rows, "effective_rank")),
            section("Was and now", _part(report, of_values=False)),
            section("Values", _part(report, of_values=True)),
        ]
    )


def _part(report: Differences, *, of_values: bool) -> Markup:
    """Return the differences of values, or all others: what breaks a load first."""
    rows = [row for row in report.rows if (row.change == "values") == of_values]
    rows.sort(key=lambda row: not row.breaks)
    title = "Differences of values" if of_values else "Differences"
    return tables(replace(report, rows=tuple(rows)), title) if rows else EMPTY


def _counts(report: Differences) -> Markup:
    """Return how many differences of each class there are."""
    changes = report.totals.changes
    if len(changes) < 2:  # which the totals say
        return EMPTY
    most = max(changes.values())
    rows = [
        [_change(each), text(f"{changes[each]:,}"), bar(changes[each] / most)]
        for each in CHANGES
        if each in changes
    ]
    return plain_table("Changes", ["change", "differences", ""], rows)


def _change(change: str) -> Markup:
    tone = column_of(DifferenceRow, "change").tone_of(change)
    return tag("span", text(change), kind=f"t-{tone}" if tone else "")
