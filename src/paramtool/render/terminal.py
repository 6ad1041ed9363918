"""The table on a terminal, by rich: colours, and nothing cut however narrow it is."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paramtool.render.columns import NUMERIC
from paramtool.render.fitting import FOLDED, GAP, fit, lead_of
from paramtool.render.screen import Screen

WIDEST = 100_000  # of a "terminal" without an edge
_STYLES = {"type": "cyan", "dtype": "dim", "nbytes": "dim", "tied_to": "magenta", "count": "cyan"}
_CHANGES = {"added": "green", "removed": "red", "values": "cyan"}
_ALARMS = ("nan", "inf")
_VERDICTS = {"ok": "green", "none": "yellow", "zero": "yellow"}
_SELF_EXPLAINING = ("change", "count", "sharing", "type", "kind", "shape", "dtype", "nbytes", "histogram")


def terminal_table(
    columns: Sequence[str], cells: list[list[str]], screen: Screen, least: Sequence[str] = ()
) -> Iterator[str]:
    """Yield the table laid out for the screen, as `fit` says; what does not fit so is stacked.

    Of a stacked row the name is on one line, and the rest below.

    Args:
        columns: their names.
        cells: a row each.
        screen: a terminal, or what takes colours.
        least: columns to do without where it is narrow, as a `View` has them; they are named below the table.
    """
    width = (screen.width or WIDEST) - 1  # each line begins with a space
    fitted = fit(columns, cells, width, least)
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
            text = ", ".join(f"{column} {cell}" for column, cell in fitted.alike)
            console.print(Text(f"each line: {text}", "dim"), soft_wrap=True)
        if fitted.left_out:
            text = f"too wide: {', '.join(fitted.left_out)}; a wider terminal or --format json has them"
            console.print(Text(text, "dim"))
    for line in file.getvalue().splitlines():
        yield f" {line.rstrip()}\n"
    yield "\n"


def _layout(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Table:
    head = box.SIMPLE_HEAD if screen.unicode else box.ASCII2
    layout = Table(box=head, pad_edge=False, show_edge=False, padding=(0, GAP - 1, 0, 0))
    lead = lead_of(columns)
    for index, column in enumerate(columns):
        justify = "right" if column in NUMERIC else "left"
        is_folded = index == lead or column in FOLDED
        layout.add_column(column, justify=justify, overflow="fold", no_wrap=not is_folded)  # type: ignore[arg-type]
    for row in cells:
        layout.add_row(*(Text(cell, _style(column, cell)) for column, cell in zip(columns, row, strict=True)))
    return layout


def _stacked(columns: Sequence[str], row: list[str], width: int) -> Text:
    lead = lead_of(columns)
    text = Text(row[lead])
    used = width
    for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
        if index == lead or not cell or (column, cell) == ("requires_grad", "True"):
            continue
        part = Text(cell, _style(column, cell))
        if column not in _SELF_EXPLAINING:
            part = Text.assemble((f"{column} ", "dim"), part)
        if used + GAP + part.cell_len >= width:
            text.append("\n    ")
            used = 4
        else:
            text.append(" " * GAP)
            used += GAP
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
