"""The rows of a report as tables, which read well alone, and which the script of a page sorts and filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from paramtool.records.column import Column
from paramtool.records.report import Report
from paramtool.render.breaks import pieces_of
from paramtool.render.cells import column_for_people, for_people, is_use
from paramtool.render.html.budget import LONGEST, fitted, short
from paramtool.render.html.drawings import LogScale, bar, histogram
from paramtool.render.html.markup import EMPTY, Markup, tag, text, together
from paramtool.render.section import Section, lead_of, sections

CHOICES = (
    "change", "dtype", "holds", "kind", "module", "operation", "rule", "sharing", "type", "verdict",
)  # fmt: skip
"""Columns with so few different cells that one is chosen from a list."""

MOST_CHOICES = 40

Extra = Mapping[str, Sequence[Markup]]
"""Cells that a view draws itself, by the name of their column."""

_BREAK = Markup("<wbr>")


class _Cell(NamedTuple):
    inner: Markup
    kind: str = ""


def tables(
    report: Report[Any, Any],
    title: str,
    extra: Extra | None = None,
    once_folded: Report[Any, Any] | None = None,
) -> Markup:
    """Return the tables of `report`; of a large one as many rows as a page holds, with a word on the rest.

    Args:
        report: with the rows as they are, not folded.
        title: what the rows are, for a reader who does not see the page.
        extra: columns to add beside the name, if all rows are there.
        once_folded: see `fitted`.
    """
    fitting, said = fitted(report, once_folded)
    drawn = [_table(section, title, said, extra or {}) for section in sections(fitting) if section.facts]
    return together(drawn)


def plain_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[Markup]]) -> Markup:
    """Return a small table, whose first cells are what each row is called by."""
    head = tag("tr", *(tag("th", text(each), scope="col") for each in headers))
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", each) for each in row[1:])) for row in rows]
    return framed(title, None, tag("thead", head), tag("tbody", *body))


def framed(title: str, said: str | None, *parts: Markup, kind: str = "") -> Markup:
    """Return a table that is scrolled by itself where it is wider than the page, with the keyboard too."""
    caption = tag("caption", tag("span", text(title), kind="hidden"), text(f" {said}" if said else ""))
    inner = tag("table", caption, *parts, kind=kind)
    return tag("div", inner, kind="scroll", role="region", tabindex=0, aria_label=title)


def _table(section: Section, title: str, said: str | None, extra: Extra) -> Markup:
    rows = section.rows
    section = replace(section, facts=_ordered(section.facts))
    columns = [_column(rows, each) for each in section.facts]
    heads = [_head(rows, each) for each in section.facts]
    lead = lead_of(section.facts)
    for name, cells in extra.items():
        if len(cells) == len(rows):  # beside the name: wide tables are scrolled
            columns.insert(lead + 1, [_Cell(cell) for cell in cells])
            heads.insert(lead + 1, tag("th", text(name), scope="col"))
    body = [
        _row(row, cells, lead, section.facts[lead])
        for row, cells in zip(rows, zip(*columns, strict=True), strict=True)
    ]
    caption = "; ".join(each for each in (said, section.caption) if each) or None
    return framed(title, caption, tag("thead", tag("tr", *heads)), tag("tbody", *body), kind="rows")


def _ordered(facts: Sequence[Column]) -> list[Column]:
    """Return the columns with pictures beside the name, since wide tables are scrolled."""
    pictures = [each for each in facts if each.kind == "histogram"]
    others = [each for each in facts if each.kind != "histogram"]
    lead = lead_of(others)
    return [*others[: lead + 1], *pictures, *others[lead + 1 :]]


def _row(row: Any, cells: Sequence[_Cell], lead: int, column: Column) -> Markup:
    """Return a row; a use is called by the module that made it, below its parameter."""
    found = list(cells)
    if is_use(row) and column.kind == "name":
        found[lead] = _Cell(_broken(column, for_people(row, "module")), "m")
    drawn = [
        tag("th", each.inner, kind=each.kind, scope="row")
        if at == lead
        else tag("td", each.inner, kind=each.kind)
        for at, each in enumerate(found)
    ]
    return tag("tr", *drawn, kind="use" if is_use(row) else "")


def _head(rows: Sequence[Any], column: Column) -> Markup:
    return tag("th", text(column.name), kind="n" if column.is_numeric else "", scope="col",
               data_choices=column.name in CHOICES and _is_short(rows, column.name),
               data_sorts=column.is_sortable)  # fmt: skip


def _is_short(rows: Sequence[Any], name: str) -> bool:
    return 1 < len({getattr(row, name) for row in rows}) <= MOST_CHOICES


def _column(rows: Sequence[Any], column: Column) -> list[_Cell]:
    """Return the cells of a column; what is the same in many rows is written once."""
    if column.kind == "histogram":
        return [_Cell(_histogram(getattr(row, column.name))) for row in rows]
    if column.kind == "bar":
        scale = LogScale([getattr(row, column.name) for row in rows])
        return [_bar_cell(row, column.name, scale) for row in rows]
    known: dict[str, _Cell] = {}
    cells = []
    for cell in column_for_people(rows, column.name):
        made = known.get(cell)
        if made is None:
            made = known[cell] = _Cell(_broken(column, cell), _kinds(column, cell))
        cells.append(made)
    return cells


def _bar_cell(row: Any, name: str, scale: LogScale) -> _Cell:
    return _Cell(together([text(for_people(row, name)), bar(scale.part(getattr(row, name)))]), "n bars")


def _kinds(column: Column, cell: str) -> str:
    tone = column.tone_of(cell) if cell else ""
    font = "n" if column.is_numeric else "m" if column.is_name or column.kind == "names" else ""
    font = "w" if column.name == "shape" else font
    return " ".join(each for each in (font, tone and f"t-{tone}") if each)


def _broken(column: Column, cell: str) -> Markup:
    """Return a cell that may go on in the next line, a name after its dots."""
    if not column.is_name or "." not in cell:
        return text(cell)
    return together(map(text, pieces_of(column, cell, 0)), _BREAK)


def name_cell(name: str, longest: int = LONGEST) -> Markup:
    """Return a name for a picture, which may go on in the next line after its dots."""
    return tag("span", _broken(Column("name"), short(name, longest)), kind="m")


def _histogram(counts: Sequence[int] | None) -> Markup:
    return EMPTY if counts is None else histogram(counts)
