"""The table on a terminal, by rich: colours, and long names folded over lines."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paramtool.render.columns import NUMERIC
from paramtool.render.screen import Screen

WIDEST = 100_000  # of a "terminal" without an edge
_STYLES = {"type": "cyan", "dtype": "dim", "nbytes": "dim", "tied_to": "magenta", "count": "cyan"}
_ALARMS = ("nan", "inf")


def terminal_table(columns: Sequence[str], cells: list[list[str]], screen: Screen) -> Iterator[str]:
    """Yield the table laid out for the screen; a cell wider than its column goes on below."""
    layout = Table(box=box.SIMPLE_HEAD if screen.unicode else box.ASCII2, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in NUMERIC
        layout.add_column(
            column, justify="right" if right else "left", overflow="fold", no_wrap=column != "name"
        )
    for row in cells:
        layout.add_row(*(Text(cell, _style(column, cell)) for column, cell in zip(columns, row, strict=True)))
    width = screen.width or WIDEST
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
    console.print(layout)
    for line in file.getvalue().splitlines():
        yield f" {line.rstrip()}\n"
    yield "\n"


def _style(column: str, cell: str) -> str:
    if column in _ALARMS and cell not in ("0", ""):
        return "bold red"
    if column == "requires_grad":
        return "dim" if cell == "True" else "yellow"
    return _STYLES.get(column, "")
