"""Which columns fit a terminal, and how wide they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from paramtool.records.column import Column
from paramtool.render.breaks import least_width, two_line_width
from paramtool.render.screen import widest, width_of
from paramtool.render.section import lead_of

GAP = 2
"""Spaces between columns."""

NARROWEST = 20
"""Columns that names and texts of two lines get at least, if they have as many."""

LONG = 100
"""The width from which a cell counts as very long: if all were as wide, most of a file would be blank."""

LEAST = 12
"""Columns that they get where they have more lines."""


@dataclass(frozen=True)
class Fitted:
    """A table that fits.

    Attributes:
        shown: indices of the columns that are left.
        widths: of these.
        alike: indices of columns in which all rows have the same.
        left_out: indices of columns that it does without.
        breaks: whether some cell goes on in the next line.
    """

    shown: list[int]
    widths: list[int]
    alike: list[int]
    left_out: list[int]
    breaks: bool = False


def fit(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int | None) -> Fitted | None:
    """Return the table fitted to `width`, None for no edge; None if nothing helps.

    In a file every row is one line, and a few very long cells do not make their column wide.  Where it is
    too wide, what is the same in every row goes out of it; then the columns that are missed
    least, one after the other.  Before one that is missed much, of `MAJOR`, names go on in the next line
    after their dots, and texts after a space: in two lines, or in more where that is not enough.  The
    name and one column more stay.
    """
    table = _Table(columns, cells)
    everything = list(range(len(columns)))
    if width is None:
        return Fitted(everything, table.usual, [], [])
    groups = sorted({each.drop for each in columns if each.drop})
    minor = sum(group < MAJOR for group in groups)
    stages = [(groups[:count], 1) for count in range(minor + 1)]
    stages += [(groups[:count], 2) for count in range(minor, len(groups) + 1)]
    stages += [(groups[:count], MANY) for count in range(minor, len(groups) + 1)]
    for dropped, lines in stages:
        if table.without(dropped, width, lines) is not None:
            found = table.with_more(dropped, width, lines)
            if found is not None and len(found.shown) > min(1, len(columns) - 1):
                return found
    return None


MAJOR = 10
"""From this `Column.drop` on names are broken first."""

MANY = 3
"""Lines of a cell, or more."""


class _Table:
    """The widths of a table's columns."""

    def __init__(self, columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
        self._columns = columns
        self._cells = cells
        self._lead = lead_of(columns)
        self._known: dict[int, list[int]] = {}
        self.natural = [
            widest([column.name, *(row[index] for row in cells)]) for index, column in enumerate(columns)
        ]

    @property
    def usual(self) -> list[int]:
        """The widths in a file, where a few cells that are very long reach into the columns after them."""
        return [self._usual(index) for index in range(len(self._columns))]

    def _usual(self, index: int) -> int:
        natural = self.natural[index]
        if natural <= LONG or self._columns[index].is_numeric:
            return natural
        short = [text for text in (row[index] for row in self._cells) if width_of(text) <= LONG]
        is_rare = 2 * len(short) > len(self._cells)
        return widest([self._columns[index].name, *short]) if is_rare else natural

    def without(self, dropped: Collection[int], width: int, lines: int) -> Fitted | None:
        """Return what is left without the columns of some groups, if it fits.

        What is the same in every row is said once below, also of a column that is left out.

        Args:
            dropped: values of `Column.drop`.
            width: of the terminal.
            lines: that a cell may take: 1, 2 or `MANY`.
        """
        shown = [index for index, column in enumerate(self._columns) if column.drop not in dropped]
        out = [index for index, column in enumerate(self._columns) if column.drop in dropped]
        alike = [index for index in self._same if index in out]
        for leaving in ([], *self._siblings([each for each in self._same if each not in out])):
            shown = [each for each in shown if each not in leaving]
            alike += leaving
            widths = self._shared_out(shown, width, lines)
            if widths is not None:
                left_out = [each for each in out if each not in alike]
                breaks = widths != [self.natural[each] for each in shown]
                return Fitted(shown, widths, alike, left_out, breaks)
        return None

    def with_more(self, dropped: Sequence[int], width: int, lines: int) -> Fitted | None:
        """Put back of what was left out whatever fits beside the rest, what is missed most first."""
        left = list(dropped)
        for group in reversed([each for each in dropped if each >= MAJOR or lines == 1]):
            fewer = [each for each in left if each != group]
            if self.without(fewer, width, lines) is not None:
                left = fewer
        return self.without(left, width, lines)

    def _shared_out(self, shown: Sequence[int], width: int, lines: int) -> list[int] | None:
        """Return the widths in which columns fit, the widest made narrower first; None if they do not."""
        widths = [self.natural[index] for index in shown]
        over = sum(widths) + GAP * (len(shown) - 1) - width
        if over <= 0:
            return widths
        least = [self._least(lines)[index] for index in shown]
        if sum(widths) - sum(least) < over:
            return None
        while over > 0:
            at = max((at for at in range(len(shown)) if widths[at] > least[at]), key=lambda at: widths[at])
            widths[at] -= 1
            over -= 1
        return widths

    def _least(self, lines: int) -> list[int]:
        """Return the widths with all breaks that there may be."""
        if lines not in self._known:
            self._known[lines] = [self._least_of(index, lines) for index in range(len(self._columns))]
        return self._known[lines]

    def _least_of(self, index: int, lines: int) -> int:
        column, natural = self._columns[index], self.natural[index]
        may_break = column.wraps or column.kind == "bar" or column.is_name or index == self._lead
        narrowest = 0 if column.kind == "bar" else LEAST if lines == MANY else NARROWEST
        if lines == 1 or natural <= narrowest or not may_break:
            return natural
        measure = least_width if lines == MANY else two_line_width
        cells = (measure(column, row[index]) for row in self._cells)
        return max(narrowest, width_of(column.name), *cells)

    def _siblings(self, indices: Sequence[int]) -> list[list[int]]:
        """Return columns that leave the table together, such as ``nan`` and ``inf``: those of one drop."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index in indices:
            drop = self._columns[index].drop
            groups.setdefault((drop, 0 if drop else index), []).append(index)
        return list(groups.values())

    @cached_property
    def _same(self) -> list[int]:
        """The columns in which all rows, of several, have the same; those that say least come first."""
        if len(self._cells) < 2:
            return []
        first = self._cells[0]
        found = [
            index
            for index in range(len(self._columns))
            if index != self._lead and first[index] and all(row[index] == first[index] for row in self._cells)
        ]
        ranked = [index for index in found if self._columns[index].alike]
        ranked.sort(key=lambda index: self._columns[index].alike)
        return [*ranked, *(index for index in reversed(found) if not self._columns[index].alike)]
