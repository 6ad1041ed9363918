"""The table on a terminal, by rich: colours, and nothing cut however narrow it is."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paramtool.render.columns import NUMERIC
from paramtool.render.screen import Screen

WIDEST = 100_000  # of a "terminal" without an edge
NARROWEST = 20
"""Columns that folded names and findings need; with less, each row is stacked over lines instead."""

_FOLDED = ("name", "found")

_STYLES = {"type": "cyan", "dtype": "dim", "nbytes": "dim", "tied_to": "magenta", "count": "cyan"}
_CHANGES = {"added": "green", "removed": "red", "values": "cyan"}
_ALARMS = ("nan", "inf")
_VERDICTS = {"ok": "green", "none": "yellow", "zero": "yellow"}
_SELF_EXPLAINING = ("change", "count", "sharing", "type", "kind", "shape", "dtype", "nbytes", "histogram")
_GAP = 2
_SAY_LEAST = ("requires_grad", "verdict", "dtype")


def terminal_table(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Iterator[str]:
    """Yield the table laid out for the screen.

    Where it is too wide, what is the same in every row goes below, once; where that is not enough, names
    fold over lines; and where that is not, a row is stacked: its name on one line, the rest below.
    """
    width = (screen.width or WIDEST) - 1  # each line begins with a space
    narrower, shorter, alike = _without_what_is_alike(columns, cells, width)
    too_wide = sum(_widths(narrower, shorter, folded=True)) > width
    file = io.StringIO()
    console = Console(
        file=file,
        force_terminal=True,
        width=width,
        height=len(cells) + 10,
        color_system="auto" if screen.color else None,
        no_color=not screen.color,
        legacy_windows=False,
    )
    if too_wide:
        for row in cells:
            console.print(_stacked(columns, row, width), soft_wrap=True)
    else:
        console.print(_layout(narrower, shorter, screen))
        if alike:
            text = ", ".join(f"{column} {cell}" for column, cell in alike)
            console.print(Text(f"each line: {text}", "dim"), soft_wrap=True)
    for line in file.getvalue().splitlines():
        yield f" {line.rstrip()}\n"
    yield "\n"


def _widths(columns: Sequence[str], cells: list[list[str]], *, folded: bool) -> list[int]:
    """Return the width of each column with its gap; of those that fold the least, if `folded`."""
    rows = [list(columns), *cells]
    widths = [max(cell_len(row[index]) for row in rows) + _GAP for index in range(len(columns))]
    if not folded:
        return widths
    lead = _lead(columns)
    return [
        min(each, NARROWEST) if index == lead or columns[index] in _FOLDED else each
        for index, each in enumerate(widths)
    ]


def _without_what_is_alike(
    columns: Sequence[str], cells: list[list[str]], width: int
) -> tuple[list[str], list[list[str]], list[tuple[str, str]]]:
    """Take columns whose rows all say the same out of a table, if it fits then; return these apart."""
    kept, rows, alike = list(columns), cells, []
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


def _same_in_all(columns: Sequence[str], cells: list[list[str]]) -> list[str]:
    """Return the columns in which all rows, of several, have the same; those that say least come first."""
    if len(cells) < 2:
        return []
    lead = _lead(columns)
    found = [
        column
        for index, column in enumerate(columns)
        if index != lead and cells[0][index] and all(row[index] == cells[0][index] for row in cells)
    ]
    least = [column for column in _SAY_LEAST if column in found]
    return [*least, *(column for column in reversed(found) if column not in least)]


def _lead(columns: Sequence[str]) -> int:
    """Return the column that a row is called by: the name, else the first."""
    return columns.index("name") if "name" in columns else 0


def _layout(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Table:
    head = box.SIMPLE_HEAD if screen.unicode else box.ASCII2
    layout = Table(box=head, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    lead = _lead(columns)
    for index, column in enumerate(columns):
        justify = "right" if column in NUMERIC else "left"
        is_folded = index == lead or column in _FOLDED
        layout.add_column(column, justify=justify, overflow="fold", no_wrap=not is_folded)  # type: ignore[arg-type]
    for row in cells:
        layout.add_row(*(Text(cell, _style(column, cell)) for column, cell in zip(columns, row, strict=True)))
    return layout


def _stacked(columns: Sequence[str], row: list[str], width: int) -> Text:
    lead = _lead(columns)
    text = Text(row[lead])
    used = width
    for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
        if index == lead or not cell or (column, cell) == ("requires_grad", "True"):
            continue
        part = Text(cell, _style(column, cell))
        if column not in _SELF_EXPLAINING:
            part = Text.assemble((f"{column} ", "dim"), part)
        if used + _GAP + part.cell_len >= width:
            text.append("\n    ")
            used = 4
        else:
            text.append(" " * _GAP)
            used += _GAP
        text.append_text(part)
        used += part.cell_len
    return text


def _style(column: str, cell: str) -> str:
    if column in _ALARMS and cell not in ("0", ""):
        return "bold red"
    if column == "change":
        return _CHANGES.get(cell, "yellow")
    if column == "holds":
        return "green" if cell == "True" else "bold red"
    if column == "requires_grad":
        return "dim" if cell == "True" else "yellow"
    if column == "sharing":
        return "" if cell == "tied" else "yellow"
    if column == "verdict":
        return _VERDICTS.get(cell, "bold red")
    return _STYLES.get(column, "")
