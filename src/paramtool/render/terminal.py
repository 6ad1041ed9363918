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
NARROWEST_NAME = 20
"""Columns that folded names need; with less, each row is stacked over lines instead."""

_STYLES = {"type": "cyan", "dtype": "dim", "nbytes": "dim", "tied_to": "magenta", "count": "cyan"}
_ALARMS = ("nan", "inf")
_VERDICTS = {"ok": "green", "none": "yellow", "zero": "yellow"}
_SELF_EXPLAINING = ("count", "sharing", "type", "kind", "shape", "dtype", "nbytes", "histogram")
_GAP = 2


def terminal_table(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Iterator[str]:
    """Yield the table laid out for the screen.

    Where it is too wide, names fold over lines; where that is not enough, a row is stacked: its name
    on one line, the rest below.
    """
    width = (screen.width or WIDEST) - 1  # each line begins with a space
    rows = [list(columns), *cells]
    widths = [max(cell_len(row[index]) for row in rows) + _GAP for index in range(len(columns))]
    name = widths[columns.index(_label(columns))]
    too_wide = sum(widths) - name + min(name, NARROWEST_NAME) > width
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


def _label(columns: Sequence[str]) -> str:
    """Return the column that says what a row is about."""
    return "name" if "name" in columns else columns[0]


def _layout(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Table:
    head = box.SIMPLE_HEAD if screen.unicode else box.ASCII2
    layout = Table(box=head, pad_edge=False, show_edge=False, padding=(0, _GAP - 1, 0, 0))
    label = _label(columns)
    for column in columns:
        justify = "right" if column in NUMERIC else "left"
        layout.add_column(column, justify=justify, overflow="fold", no_wrap=column != label)  # type: ignore[arg-type]
    for row in cells:
        layout.add_row(*(Text(cell, _style(column, cell)) for column, cell in zip(columns, row, strict=True)))
    return layout


def _stacked(columns: Sequence[str], row: list[str], width: int) -> Text:
    label = _label(columns)
    text = Text(row[columns.index(label)])
    used = width
    for column, cell in zip(columns, row, strict=True):
        if column == label or not cell or (column, cell) == ("requires_grad", "True"):
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
    if column == "requires_grad":
        return "dim" if cell == "True" else "yellow"
    if column == "sharing":
        return "" if cell == "tied" else "yellow"
    if column == "verdict":
        return _VERDICTS.get(cell, "bold red")
    return _STYLES.get(column, "")
