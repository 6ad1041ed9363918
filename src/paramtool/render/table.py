"""The tables of a report for people, and what stands below them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramtool.records.report import Report
from paramtool.render.breaks import wrapped
from paramtool.render.elements import value_lines
from paramtool.render.layout import laid_out
from paramtool.render.proportion import proportions
from paramtool.render.screen import Screen
from paramtool.render.section import cells_of, sections
from paramtool.render.summary import summary


def table(report: Report[Any, Any], screen: Screen) -> Iterator[str]:
    """Yield the lines of the table, the values if they were asked for, and the totals."""
    for section in sections(report):
        cells = cells_of(section, screen.unicode)
        if section.facts:
            yield from laid_out(section.facts, cells, screen, proportions(report, section))
        if section.caption:
            yield from (f" {each}\n" for each in _wrapped(section.caption, screen))
            yield "\n"
    yield from value_lines(report)
    yield from (f" {each}\n" for line in summary(report) for each in _wrapped(line, screen))


def _wrapped(text: str, screen: Screen) -> list[str]:
    return [text] if screen.width is None else wrapped(text, screen.width - 1)
