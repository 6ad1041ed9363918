"""The table on a terminal, by rich: colours, and nothing cut however narrow it is."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paramtool.records.column import Column, Tone
from paramtool.render.fit import GAP, fit
from paramtool.render.screen import Screen
from paramtool.render.section import lead_of

WIDEST = 100_000  # of a "terminal" without an edge
_STYLES: dict[Tone, str] = {
    "": "",
    "accent": "cyan",
    "quiet": "dim",
    "link": "magenta",
    "good": "green",
    "notable": "yellow",
    "gone": "red",
    "bad": "bold red",
}


def terminal_table(columns: Sequence[Column], cells: list[list[str]], screen: Screen) -> Iterator[str]:
    """Yield the table laid out for the screen, as `fit` says; what does not fit so is stacked.

    Of a stacked row the name is on one line, and the rest below.

    Args:
        columns: of the table; those that it has to do without are named below it.
        cells: a row each.
        screen: a terminal, or what takes colours.
    """
    width = (screen.width or WIDEST) - 1  # each line begins with a space
    fitted = fit(columns, cells, width)
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
    if fitted is None:
        for row in cells:
            console.print(_stacked(columns, row, width), soft_wrap=True)
    else:
        console.print(_layout(fitted.columns, fitted.cells, screen))
        if fitted.alike:
            text = ", ".join(f"{column.name} {cell}" for column, cell in fitted.alike)
            console.print(Text(f"each line: {text}", "dim"), soft_wrap=True)
        if fitted.left_out:
            names = ", ".join(column.name for column in fitted.left_out)
            text = f"too wide to show: {names}; use a wider terminal or --format json"
            console.print(Text(text, "dim"))
    for line in file.getvalue().splitlines():
        yield f" {line.rstrip()}\n"
    yield "\n"


def _layout(columns: Sequence[Column], cells: list[list[str]], screen: Screen) -> Table:
    head = box.SIMPLE_HEAD if screen.unicode else box.ASCII2
    layout = Table(box=head, pad_edge=False, show_edge=False, padding=(0, GAP - 1, 0, 0))
    lead = lead_of(columns)
    for index, column in enumerate(columns):
        layout.add_column(
            column.name,
            justify="right" if column.is_numeric else "left",
            overflow="fold",
            no_wrap=not (index == lead or column.wraps),
        )
    for row in cells:
        layout.add_row(*(_styled(column, cell) for column, cell in zip(columns, row, strict=True)))
    return layout


def _stacked(columns: Sequence[Column], row: list[str], width: int) -> Text:
    lead = lead_of(columns)
    text = Text(row[lead])
    used = width
    for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
        if index == lead or not cell or cell == column.implied:
            continue
        part = _styled(column, cell)
        if column.labelled:
            part = Text.assemble((f"{column.name} ", "dim"), part)
        if used + GAP + part.cell_len >= width:
            text.append("\n    ")
            used = 4
        else:
            text.append(" " * GAP)
            used += GAP
        text.append_text(part)
        used += part.cell_len
    return text


def _styled(column: Column, cell: str) -> Text:
    return Text(cell, _STYLES[column.tone_of(cell)])
