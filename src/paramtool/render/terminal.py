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


def terminal_table(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Iterator[str]:
    """Yield the table laid out for the screen.

    Where it is too wide, names fold over lines; where that is not enough, a row is stacked: its name
    on one line, the rest below.
    """
    width = (screen.width or WIDEST) - 1  # each line begins with a space
    rows = [list(columns), *cells]
    widths = [max(cell_len(row[index]) for row in rows) + _GAP for index in range(len(columns))]
    lead = _lead(columns)
    least = [
        min(each, NARROWEST) if index == lead or columns[index] in _FOLDED else each
        for index, each in enumerate(widths)
    ]
    too_wide = sum(least) > width
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
        console.print(_layout(columns, cells, screen))
    for line in file.getvalue().splitlines():
        yield f" {line.rstrip()}\n"
    yield "\n"


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
