"""A table in Markdown, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from paramtool.records.parameter import Printed
from paramtool.records.report import Report
from paramtool.render.cells import for_people
from paramtool.render.columns import NUMERIC, columns_for_people
from paramtool.render.names import shown
from paramtool.render.summary import summary

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~#$&@!])")


def markdown(report: Report[Any, Any]) -> Iterator[str]:
    """Yield the table, the values in fenced blocks if they were asked for, and the totals."""
    columns = columns_for_people(report)
    if columns:
        yield f"| {' | '.join(columns)} |\n"
        yield f"|{'|'.join('---:' if column in NUMERIC else '---' for column in columns)}|\n"
    for row in report.rows:
        cells = (_cell(row, column) for column in columns)
        yield f"| {' | '.join(cells)} |\n"
    for row in report.rows if "values" in report.columns else ():
        if isinstance(row.values, Printed):
            yield f"\n{_escaped(shown(row.name))}\n\n```\n{row.values.text}\n```\n"
    yield from (f"\n{_escaped(line)}\n" for line in summary(report))


def _cell(row: Any, column: str) -> str:
    text = for_people(row, column)
    return _escaped(text) if isinstance(getattr(row, column), str) else text


def _escaped(text: str) -> str:
    """Make every character of Markdown and HTML stand for itself; an identifier stays as it is."""
    if re.fullmatch(r"[\w. ,;×?-]*", text) and not re.search(r"(^|\W)_|_(\W|$)", text):
        return text
    return _MARKUP.sub(r"\\\1", text)
