"""A table for people: plain lines into a file, rich on a terminal, where it folds and never cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from paramtool.records.column import Column
from paramtool.records.report import Report
from paramtool.render.elements import value_lines
from paramtool.render.screen import Screen
from paramtool.render.section import cells_of, sections
from paramtool.render.summary import summary

STREAM_PAST = 2_000
"""Rows that rich lays out in about a second; more are written as plain lines."""


def table(report: Report[Any, Any], screen: Screen) -> Iterator[str]:
    """Yield the lines of the table, the values if they were asked for, and the totals."""
    for section in sections(report):
        cells = cells_of(section, screen.unicode)
        if section.facts and (screen.width or screen.color) and len(cells) <= STREAM_PAST:
            from paramtool.render.terminal import terminal_table

            yield from terminal_table(section.facts, cells, screen)
        elif section.facts:
            yield from _plain(section.facts, cells, screen.unicode)
        if section.caption:
            yield f" {section.caption}\n\n"
    yield from value_lines(report)
    yield from (f" {line}\n" for line in summary(report))


def _plain(columns: Sequence[Column], cells: list[list[str]], unicode: bool) -> Iterator[str]:
    rows = [[each.name for each in columns], *cells]
    widths = [max(_width(row[index]) for row in rows) for index in range(len(columns))]
    for number, row in enumerate(rows):
        parts = []
        for column, cell, width in zip(columns, row, widths, strict=True):
            space = " " * (width - _width(cell))
            parts.append(space + cell if column.is_numeric else cell + space)
        yield " " + "  ".join(parts).rstrip() + "\n"
        if number == 0:
            yield " " + ("─" if unicode else "-") * (sum(widths) + 2 * len(widths) - 2) + "\n"
    yield "\n"


def _width(cell: str) -> int:
    """Return the columns of a terminal that a cell takes."""
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)
