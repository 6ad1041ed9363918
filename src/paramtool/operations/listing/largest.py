"""The largest rows of a listing, and what the others come to.  No torch."""

from __future__ import annotations

from dataclasses import replace

from paramtool.operations.listing.selection import sort
from paramtool.records.parameter import Listing
from paramtool.records.report import Others

BY_DEFAULT = "numel"
"""What is sorted by where nothing else is asked for."""


def largest(report: Listing, count: int, key: str | None = None, reverse: bool = False) -> Listing:
    """Return the report with the first rows that `sort` puts in order, and the sum of the others.

    Args:
        report: rows in any order, folded or not.
        count: of rows, 1 or more.
        key: the field to sort by; None for `numel`.
        reverse: smallest first.

    Raises:
        ParamtoolError: if `key` is not a field.
    """
    rows = sort(report.rows, key or BY_DEFAULT, reverse)
    kept, rest = rows[:count], rows[count:]
    if not rest:
        return replace(report, rows=tuple(kept))
    counted = [row for row in rest if row.counted]
    others = Others(
        names=sum(row.count for row in rest),
        numel=sum(row.numel or 0 for row in counted),
        nbytes=sum(row.nbytes or 0 for row in counted),
    )
    return replace(report, rows=tuple(kept), others=others)
