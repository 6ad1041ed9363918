"""Look at the elements of listed tensors, wherever they are, block by block."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from paramtool.records.parameter import Listing, listing_columns
from paramtool.tensors.elements import Elements
from paramtool.tensors.one_thread import one_thread
from paramtool.tensors.printed import printed_elements
from paramtool.tensors.statistics import statistics_of


def measured(  # noqa: PLR0913 - keywords
    report: Listing,
    elements: Elements,
    *,
    stats: bool = False,
    values: bool = False,
    jobs: int = 1,
    missing: Collection[str] = (),
) -> Listing:
    """Return `report` with statistics or elements of every row; each tensor is read once.

    Args:
        report: rows of tensors with a shape.
        elements: what gives the elements by the rows' names.
        stats: add mean, std, min, max, norm, counts of zeros, NaN and infinity, and a histogram.
        values: add the elements.
        jobs: threads; no number depends on them.
        missing: names of tensors without elements, whose rows stay as they are.

    Raises:
        ParamtoolError: where elements cannot be read.
    """
    found: dict[str, dict[str, Any]] = {row.name: {} for row in report.rows if row.tied_to is None}
    first = [row for row in report.rows if row.tied_to is None and row.name not in missing]
    if stats:
        with one_thread(), ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            numbers = pool.map(lambda row: statistics_of(elements.blocks(row.name), row.numel or 0), first)
            for row, number in zip(first, numbers, strict=True):
                found[row.name].update(number)
    if values:
        for row in first:
            found[row.name]["values"] = printed_elements(elements, row.name, row.shape or ())
    rows = tuple(replace(row, **found[row.tensor]) for row in report.rows)
    return replace(report, rows=rows, columns=listing_columns(stats, values))
