"""The picture of `diff`: whether A loads into B, where the changes are, and was and now side by side."""

from __future__ import annotations

from paramtool.records.column import column_of
from paramtool.records.difference import CHANGES, Differences, DifferenceRow
from paramtool.render.difference_text import verdict
from paramtool.render.html.drawings import bar
from paramtool.render.html.heat_map import heat_map
from paramtool.render.html.markup import EMPTY, Markup, tag, text, together
from paramtool.render.html.table import plain_table, tables
from paramtool.render.html.view import section


def draw(report: Differences) -> Markup:
    """Return the parts of a comparison."""
    totals = report.totals
    said = tag("p", text(verdict(totals)), kind=f"verdict {'good' if totals.loads else 'bad'}")
    return together(
        [
            said,
            section("Changes", _counts(report)),
            section("Where", heat_map(report.rows)),
            section("Was and now", tables(report, "Differences")),
        ]
    )


def _counts(report: Differences) -> Markup:
    """Return how many differences of each class there are."""
    changes = report.totals.changes
    if not changes:
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
