"""Choose differences by the names that they are about.  No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from paramtool.errors import NothingMatched
from paramtool.operations.comparison.differences import Differences, count_changes
from paramtool.operations.listing.selection import Patterns
from paramtool.patterns import matching
from paramtool.records.difference import DifferenceRow


def choose_differences(
    report: Differences, names: Iterable[str], patterns: Patterns, exclude: Patterns
) -> Differences:
    """Return `report` with the differences of names that the patterns keep; the verdict is of all.

    Args:
        report: what differs.
        names: all that A and B have.
        patterns: one of them is found in a name of what is kept, be it the old or the new one.
        exclude: none of them is found in either.

    Raises:
        NothingMatched: where they keep no name, whether it differs or not.
    """
    known = dict.fromkeys(names)
    kept = matching(patterns, known) if patterns else set(known)
    dropped = matching(exclude, known) if exclude else set()
    if not kept - dropped:
        raise NothingMatched("no name matches the selection", hint=f"there are {len(known):,} names")
    rows = tuple(row for row in report.rows if _names(row) & kept and not _names(row) & dropped)
    totals = replace(report.totals, differences=len(rows), changes=count_changes(rows), selected=True)
    return replace(report, rows=rows, totals=totals)


def _names(row: DifferenceRow) -> set[str]:
    return {row.name, row.new_name or row.name}
