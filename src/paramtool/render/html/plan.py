"""The picture of `init`: the rules, and each tensor before and after them."""

from __future__ import annotations

from collections.abc import Sequence

from paramtool.records.initialization import Initialization, InitializationRow
from paramtool.render.html.budget import MOST_ROWS
from paramtool.render.html.drawings import legend, placed_histogram, strip
from paramtool.render.html.markup import EMPTY, Markup, tag, text, together
from paramtool.render.html.table import tables
from paramtool.render.html.view import section

BEFORE = "what the constructor drew"
AFTER = "what the rules leave"


def draw(report: Initialization) -> Markup:
    """Return the parts of an initialization or of its plan."""
    rules = tag("ol", *(tag("li", text(each), kind="m") for each in report.totals.rules))
    drawn = [_both(row) for row in report.rows] if len(report.rows) <= MOST_ROWS else []
    extra = {"distribution": drawn} if any(drawn) else {}
    key = legend(("was", BEFORE), ("accent", AFTER)) if extra else EMPTY
    return together(
        [
            section("Rules", rules if report.totals.rules else EMPTY),
            section("Tensors", key, tables(report, "Tensors that rules touch", extra)),
        ]
    )


def _both(row: InitializationRow) -> Markup:
    """Return the values before and after, as histograms or, where these are not known, from min to max."""
    sides = [
        (row.histogram_before, row.min_before, row.max_before, "was"),
        (row.histogram, row.min, row.max, "accent"),
    ]
    return together([_side(*side, whole=_whole(row)) for side in sides])


def _side(
    counts: Sequence[int] | None, low: float | None, high: float | None, tone: str, whole: tuple[float, float]
) -> Markup:
    if low is None or high is None:
        return EMPTY
    if counts is not None:
        return placed_histogram(counts, (low, high), whole, tone)
    return strip(low, high, whole, tone)


def _whole(row: InitializationRow) -> tuple[float, float]:
    ends = [each for each in (row.min_before, row.max_before, row.min, row.max) if each is not None]
    return min(ends, default=0.0), max(ends, default=0.0)
