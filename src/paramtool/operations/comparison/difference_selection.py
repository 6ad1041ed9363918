"""Choose differences by the names that they are about.  No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from paramtool.errors import NothingMatched
from paramtool.operations.comparison.differences import count_changes
from paramtool.operations.listing.selection import Selection, absent_module, unknown_module, unknown_name
from paramtool.patterns import matching
from paramtool.records.difference import DifferenceRow, Differences
from paramtool.suggestion import hint_of_names


def choose_differences(report: Differences, names: Iterable[str], selection: Selection) -> Differences:
    """Return `report` with the differences of names that `selection` keeps; the verdict is of all.

    A pattern is to be found in the old or the new name, and one that excludes in neither.

    Args:
        report: what differs.
        names: all that A and B have.
        selection: without types, which a difference has none of.

    Raises:
        NothingMatched: if it keeps no name, whether it differs or not.
    """
    known = list(dict.fromkeys(names))
    kept = replace(selection, exclude=()).kept(known)
    dropped = matching(selection.exclude, known) if selection.exclude else set()
    if not kept - dropped:
        hint = unknown_name(selection.names, known) or unknown_module(selection.modules, known)
        if hint:
            message = absent_module(selection.modules, known) or "no name matches the selection"
            raise NothingMatched(message, hint=hint)
        raise NothingMatched("no name matches the selection", hint=hint_of_names(known))
    rows = tuple(row for row in report.rows if _names(row) & kept and not _names(row) & dropped)
    totals = replace(
        report.totals,
        differences=len(rows),
        changes=count_changes(rows),
        selected=True,
        uncompared=tuple(each for each in report.totals.uncompared if each in kept - dropped),
    )
    return replace(report, rows=rows, totals=totals)


def _names(row: DifferenceRow) -> set[str]:
    return {row.name, row.new_name or row.name}
