"""The tables of a report as people see them: the columns that say something, and their cells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from paramtool.records.column import Column, column_of
from paramtool.records.parameter import Printed
from paramtool.records.report import Report
from paramtool.render.bars import LONGEST, bar
from paramtool.render.cells import column_for_people, for_people, is_use
from paramtool.render.elements import inline

_DECADES = 3
"""Orders of magnitude that a bar spans at least, so that what is about the same looks the same."""


@dataclass(frozen=True)
class Section:
    """One table for people.

    Attributes:
        facts: its columns.
        rows: its rows.
        caption: a line below it.
    """

    facts: list[Column]
    rows: Sequence[Any]
    caption: str | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [each.name for each in self.facts]


def sections(report: Report[Any, Any]) -> Iterator[Section]:
    """Yield the tables of `report`, each with the columns in which some row says something."""
    if not report.parts:
        yield Section(_facts(report, report.columns, report.rows), report.rows)
    for part in report.parts:
        rows = [row for row in report.rows if row.kind in part.kinds]
        columns = report.columns if report.is_chosen else part.columns
        if not report.is_chosen or any(each in part.columns for each in columns):
            yield Section(_facts(report, columns, rows), rows, part.caption)


def lead_of(columns: Sequence[Column]) -> int:
    """Return the column that a row is called by: the name, else the first."""
    return next((index for index, each in enumerate(columns) if each.kind == "name"), 0)


def cells_of(section: Section, unicode: bool = True) -> list[list[str]]:
    """Return the cells of a table, row after row, with the branch of a use and the bar of a number."""
    columns = [column_for_people(section.rows, column, unicode) for column in section.columns]
    cells = list(map(list, zip(*columns, strict=True))) if columns else [[] for _ in section.rows]
    lead = lead_of(section.facts)
    for index, row in enumerate(section.rows):
        if is_use(row) and section.facts:
            is_last = index + 1 == len(cells) or not is_use(section.rows[index + 1])
            branch = ("└" if is_last else "├") if unicode else ("`" if is_last else "|")
            if section.facts[lead].kind == "name":
                cells[index][lead] = f"{branch} {for_people(row, 'module', unicode)}"
    for at, column in enumerate(section.facts):
        if column.kind == "bar":
            bars = _bars([getattr(row, column.name) for row in section.rows], unicode)
            width = max((len(line[at]) for line in cells), default=0)
            for line, bar in zip(cells, bars, strict=True):
                line[at] = f"{line[at]:>{width}} {bar:<{LONGEST}}"
    return cells


def _facts(report: Report[Any, Any], columns: Sequence[str], rows: Sequence[Any]) -> list[Column]:
    """Return the columns to lay out: without those in which no row has anything, values apart."""
    if report.totals.tells_of_none and not rows:
        return []
    if report.is_chosen:
        return _chosen([column_of(report.totals.row, each) for each in columns])
    facts = [column_of(report.totals.row, each) for each in columns if each != "count"]
    facts.insert(lead_of(facts) + 1, column_of(report.totals.row, "count"))
    return [each for each in facts if _is_shown(each, rows)]


def _chosen(facts: Sequence[Column]) -> list[Column]:
    """Return the columns as they are; where there is no room, the last of them is missed least."""
    lead = lead_of(facts)
    return [
        each._replace(drop=0 if index == lead else len(facts) - index, alike=0)
        for index, each in enumerate(facts)
    ]


def _is_shown(column: Column, rows: Sequence[Any]) -> bool:
    if column.shown in ("always", "never"):
        return column.shown == "always"
    is_header = column.shown == "known" and not rows
    return is_header or any(_says_something(value, column.usual) for value in _different(rows, column.name))


def _different(rows: Sequence[Any], name: str) -> Iterator[Any]:
    """Yield the value of the first row, then each object that rows have there, once."""
    value_of = attrgetter(name)
    yield from map(value_of, rows[:1])
    yield from {id(value): value for value in map(value_of, rows)}.values()


def _says_something(value: Any, usual: Sequence[Any]) -> bool:
    if isinstance(value, Printed):
        return inline(value) is not None
    return value not in (None, (), *usual)


def _bars(values: Sequence[float | None], unicode: bool) -> list[str]:
    """Return a bar for each value, on a logarithmic scale that ends at the largest."""
    logs = [math.log10(each) if each and math.isfinite(each) else None for each in values]
    known = [each for each in logs if each is not None]
    if not known:
        return ["" for _ in values]
    high = max(known)
    low = min(*known, high - _DECADES)
    step = (high - low) / (8 * LONGEST - 1)
    return [bar(0 if each is None else 1 + round((each - low) / step), unicode) for each in logs]
