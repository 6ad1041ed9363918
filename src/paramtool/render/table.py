"""The tables of a report for people, and what stands below them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramtool.records.report import Report
from paramtool.render.breaks import wrapped
from paramtool.render.elements import value_lines
from paramtool.render.layout import laid_out
from paramtool.render.screen import Screen
from paramtool.render.section import cells_of, sections
from paramtool.render.summary import summary

WIDE = 100
"""Columns of a terminal that may have room for bars."""


def table(report: Report[Any, Any], screen: Screen) -> Iterator[str]:
    """Yield the lines of the table, the values if they were asked for, and the totals."""
    for section in sections(report):
        columns, cells = section.facts, cells_of(section, screen.unicode)
        if screen.width is not None and screen.width > WIDE:
            from paramtool.render.proportion import with_proportions

            columns, cells = with_proportions(report, section, cells, screen)
        if columns:
            yield from laid_out(columns, cells, screen)
        if section.caption:
            yield from (f" {each}\n" for each in _wrapped(section.caption, screen))
            yield "\n"
    yield from value_lines(report)
    yield from (f" {each}\n" for line in summary(report) for each in _wrapped(line, screen))


def _wrapped(text: str, screen: Screen) -> list[str]:
    return [text] if screen.width is None else wrapped(text, screen.width - 1)
