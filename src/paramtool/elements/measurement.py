"""Measure the elements of listed tensors, wherever they are, on several threads."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from paramtool import progress
from paramtool.elements.elements import CHUNK, Elements
from paramtool.elements.statistics import Summary, chunk_summary, merged
from paramtool.elements.tensor_text import printed_elements
from paramtool.elements.threads import run
from paramtool.records.parameter import Listing, listing_columns


def measured(  # noqa: PLR0913 - keywords, as the Python API has them
    report: Listing,
    elements: Elements,
    *,
    stats: bool = False,
    values: bool = False,
    jobs: int = 1,
    missing: Collection[str] = (),
) -> Listing:
    """Return `report` with statistics or elements of every row; each tensor is read once for each.

    Args:
        report: rows of tensors with a shape.
        elements: what gives the elements by the rows' names.
        stats: add mean, std, min, max, norm, counts of zeros, NaN and infinity, and a histogram.
        values: add the elements.
        jobs: threads; no number depends on them.
        missing: names of tensors without elements, whose rows stay as they are.

    Raises:
        ParamtoolError: if elements cannot be read.
    """
    found: dict[str, dict[str, Any]] = {row.name: {} for row in report.rows if row.tied_to is None}
    first = [name for name in found if name not in missing]
    if stats:
        for name, numbers in statistics_by_name(elements, first, jobs=jobs).items():
            found[name].update(numbers)
    if values:
        for name in first:
            found[name]["values"] = printed_elements(elements, name)
    rows = tuple(replace(row, **found[row.tensor]) for row in report.rows)
    return replace(report, rows=rows, columns=listing_columns(stats, values))


def statistics_by_name(
    elements: Elements, names: Iterable[str], *, jobs: int = 1
) -> dict[str, dict[str, Any]]:
    """Return the statistics of each tensor; each thread takes the next chunk, of whichever tensor.

    Raises:
        ParamtoolError: if elements cannot be read.
    """
    names = list(dict.fromkeys(names))
    found: dict[str, dict[str, Any]] = {}
    parts: dict[str, dict[int, Summary]] = {}

    def tasks() -> Iterator[tuple[str, int]]:
        for name in names:
            parts[name] = {}
            for start in range(0, max(1, math.prod(elements.shape(name))), CHUNK):
                yield name, start

    def work(task: tuple[str, int]) -> None:
        name, start = task
        mine = parts[name]
        mine[start] = chunk_summary(elements, name, start)
        count = max(1, math.prod(elements.shape(name)))
        advance(min(CHUNK, count - start))
        if len(mine) * CHUNK >= count and parts.pop(name, None) is not None:  # one thread alone gets it
            found[name] = merged([mine[each] for each in sorted(mine)])

    total = sum(math.prod(elements.shape(name)) for name in names)
    with progress.work("statistics", total) as advance:
        run(tasks(), work, jobs)
    return found
