"""How much of a large report is drawn, so that its page has a size that browsers open at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from paramtool.quantities import counted
from paramtool.records.report import Report
from paramtool.render.formats import folded

MOST_ROWS = 1000
"""Rows of a table."""

MOST_CHARACTERS = 200_000
"""Characters of all texts in a table, of which an untrusted file may have any number."""

LONGEST = 300
"""Characters of a text in a picture; tables have all of it."""

MOST_BRANCHES = 1000
"""Modules and tensors of a tree."""

MOST_BELOW = 100
"""What is drawn below one module."""


def fitted(
    report: Report[Any, Any], once_folded: Report[Any, Any] | None = None
) -> tuple[Report[Any, Any], str | None]:
    """Return `report` with as many rows as a table may have, and a sentence if these are not all.

    First numbered blocks fold; of what is still too much the largest tensors stay, or the first rows.

    Args:
        report: with every row.
        once_folded: the same with identical blocks as one row, where that is known already.
    """
    if _fits(report.rows):
        return report, None
    report = folded(report) if once_folded is None else once_folded
    if _fits(report.rows):
        return report, "identical numbered blocks are one row"
    kept = list(_kept(report.rows))
    which = "largest" if hasattr(report.rows[0], "numel") and report.command == "inspect" else "first"
    said = (
        f"the {which} {len(kept):,} of {counted(len(report.rows), 'row')};"
        " --format csv lists all, --pattern and --module narrow them down"
    )
    return replace(report, rows=tuple(kept)), said


def short(text: str, longest: int = LONGEST) -> str:
    """Return a text as a picture has room for it, with its beginning and its end."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


def _fits(rows: Sequence[Any]) -> bool:
    return len(rows) <= MOST_ROWS and sum(map(_length, rows)) <= MOST_CHARACTERS


def _length(row: Any) -> int:
    """Return the characters of all texts in a row."""
    return sum(len(each) for each in vars(row).values() if isinstance(each, str))


def _kept(rows: Sequence[Any]) -> Iterator[Any]:
    """Yield the rows that stay, in their order."""
    places: Sequence[int] = range(len(rows))
    if hasattr(rows[0], "counted"):  # of tensors the largest say most
        places = sorted(places, key=lambda at: -(rows[at].numel or 0))
    room = MOST_CHARACTERS
    chosen: list[int] = []
    for place in places[:MOST_ROWS]:
        room -= _length(rows[place])
        if chosen and room < 0:
            break
        chosen.append(place)
    yield from (rows[place] for place in sorted(chosen))
