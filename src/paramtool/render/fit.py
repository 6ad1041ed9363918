"""Which columns fit a terminal, and the text below the table for those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from paramtool.records.column import Column
from paramtool.render.section import lead_of

GAP = 2
"""Spaces between columns."""

NARROWEST = 20
"""Columns that folded names and findings need."""


@dataclass(frozen=True)
class Fitted:
    """A table that fits.

    Attributes:
        columns, cells: those that are left.
        alike: columns in which all rows had the same, and this.
        left_out: columns that it does without.
    """

    columns: list[Column]
    cells: list[list[str]]
    alike: list[tuple[Column, str]]
    left_out: list[Column]

    def fits(self, width: int, *, folded: bool) -> bool:
        """Tell whether `width` has room for it, with names that fold over lines if `folded`."""
        return sum(_widths(self.columns, self.cells, folded=folded)) <= width


def fit(columns: Sequence[Column], cells: list[list[str]], width: int) -> Fitted | None:
    """Return the table fitted to `width`; None if nothing helps.

    Where it is too wide, what is the same in every row goes out of it.  Where that is not enough it does
    without columns that are missed least; and where that is not, names fold over lines as well.
    """
    whole = _without(columns, cells, width, ())
    if whole.fits(width, folded=False):
        return whole
    candidates = sorted({each.drop for each in columns if each.drop})
    for count in range(1, len(candidates) + 1):
        if _without(columns, cells, width, candidates[:count]).fits(width, folded=False):
            return _with_more(columns, cells, width, candidates[:count])
    fewest = _without(columns, cells, width, candidates)
    return fewest if fewest.fits(width, folded=True) else None


def _with_more(columns: Sequence[Column], cells: list[list[str]], width: int, left_out: list[int]) -> Fitted:
    """Put back of what was left out whatever fits beside the rest, what is missed most first."""
    for group in reversed(left_out):
        fewer = [each for each in left_out if each != group]
        if _without(columns, cells, width, fewer).fits(width, folded=False):
            left_out = fewer
    return _without(columns, cells, width, left_out)


def _without(columns: Sequence[Column], cells: list[list[str]], width: int, groups: Sequence[int]) -> Fitted:
    """Leave the columns that drop with these groups out, but say once what is the same in every row."""
    kept = [index for index, column in enumerate(columns) if column.drop not in groups]
    fewer = [[row[index] for index in kept] for row in cells]
    names, rows, alike = _without_what_is_alike([columns[index] for index in kept], fewer, width)
    same = [column for column in _same_in_all(columns, cells) if column.drop in groups]
    alike += [(column, cells[0][columns.index(column)]) for column in same]
    left = [column for column in columns if column.drop in groups and column not in same]
    return Fitted(names, rows, alike, left)


def _without_what_is_alike(
    columns: Sequence[Column], cells: list[list[str]], width: int
) -> tuple[list[Column], list[list[str]], list[tuple[Column, str]]]:
    """Take columns whose rows all say the same out of a table, if it fits then; return these apart."""
    kept, rows = list(columns), cells
    alike: list[tuple[Column, str]] = []
    candidates = _same_in_all(columns, cells)
    while sum(_widths(kept, rows, folded=False)) > width:
        if not candidates:
            return list(columns), cells, []
        column = candidates.pop(0)
        index = kept.index(column)
        alike.append((column, rows[0][index]))
        kept.pop(index)
        rows = [[*row[:index], *row[index + 1 :]] for row in rows]
    return kept, rows, alike


def _same_in_all(columns: Sequence[Column], cells: list[list[str]]) -> list[Column]:
    """Return the columns in which all rows, of several, have the same; those that say least come first."""
    if len(cells) < 2:
        return []
    lead = lead_of(columns)
    found = [
        column
        for index, column in enumerate(columns)
        if index != lead and cells[0][index] and all(row[index] == cells[0][index] for row in cells)
    ]
    first = sorted((column for column in found if column.alike), key=lambda column: column.alike)
    return [*first, *(column for column in reversed(found) if not column.alike)]


def _widths(columns: Sequence[Column], cells: list[list[str]], *, folded: bool) -> list[int]:
    """Return the width of each column with its gap; of those that fold the least, if `folded`."""
    rows = [[each.name for each in columns], *cells]
    widths = [max(cell_len(row[index]) for row in rows) + GAP for index in range(len(columns))]
    if not folded:
        return widths
    lead = lead_of(columns)
    return [
        min(each, NARROWEST) if index == lead or columns[index].wraps else each
        for index, each in enumerate(widths)
    ]
