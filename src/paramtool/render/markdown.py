"""A table in Markdown, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from paramtool.records.column import Column
from paramtool.records.report import Report
from paramtool.render.elements import printed_blocks
from paramtool.render.section import cells_of, sections
from paramtool.render.summary import summary

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#$&@!])")


def markdown(report: Report[Any, Any]) -> Iterator[str]:
    """Yield the table, the values in fenced blocks if they were asked for, and the totals."""
    for number, section in enumerate(sections(report)):
        yield "\n" if number else ""
        if section.facts:
            yield f"| {' | '.join(section.columns)} |\n"
            yield f"|{'|'.join('---:' if column.is_numeric else '---' for column in section.facts)}|\n"
        for row, cells in zip(section.rows, cells_of(section), strict=True):
            texts = map(_cell, repeat(row), section.facts, cells)
            yield f"| {' | '.join(texts)} |\n"
        yield f"\n{_escaped(section.caption)}\n" if section.caption else ""
    for label, text, _ in printed_blocks(report):
        yield f"\n{_escaped(label)}\n" + (f"\n```\n{text}\n```\n" if text else "")
    yield from (f"\n{_escaped(line)}\n" for line in summary(report))


def _cell(row: Any, column: Column, text: str) -> str:
    is_written = column.kind == "names" or isinstance(getattr(row, column.name), str)
    return _escaped(text) if is_written else text


def _escaped(text: str) -> str:
    """Make every character of Markdown and HTML stand for itself; an identifier stays as it is."""
    if re.fullmatch(r"[\w. ,;×?-]*", text) and not re.search(r"(^|\W)_|_(\W|$)", text):
        return text
    return _MARKUP.sub(r"\\\1", text)
