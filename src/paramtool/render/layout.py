"""A table as lines: as wide as it is in a file, fitted to a terminal, and nothing cut however narrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paramtool.quantities import and_more
from paramtool.records.column import Column
from paramtool.render.breaks import broken, wrapped
from paramtool.render.fit import GAP, Fitted, fit
from paramtool.render.screen import Screen, width_of
from paramtool.render.section import lead_of
from paramtool.render.tones import BOLD, coded, toned

MARGIN = " "
"""Before each line."""

MOST_TEXTS = 3
"""The most different texts of a column that are given below a table without room for it."""


def laid_out(
    columns: Sequence[Column],
    cells: list[list[str]],
    screen: Screen,
) -> Iterator[str]:
    """Yield the table laid out for the screen, as `fit` says; what does not fit so is stacked.

    Of a stacked row the name is on one line, and the rest below.

    Args:
        columns: of the table; those that it has to do without are named below it.
        cells: a row each.
        screen: what it is shown on.
    """
    width = None if screen.width is None else screen.width - len(MARGIN)
    fitted = fit(columns, cells, width)
    if fitted is not None:
        lines = _lines(columns, cells, fitted, screen)
    else:
        lines = (line for row in cells for line in _stacked(columns, row, width or 0, screen.color))
    for line in lines:
        yield f"{MARGIN}{line}\n"
    for text in _below(columns, cells, fitted):
        for line in wrapped(text, width) if width else [text]:
            yield f"{MARGIN}{toned(line, 'quiet', screen.color)}\n"
    yield "\n"


def _lines(
    columns: Sequence[Column], cells: list[list[str]], fitted: Fitted, screen: Screen
) -> Iterator[str]:
    shown = list(zip(fitted.shown, (columns[index] for index in fitted.shown), fitted.widths, strict=True))
    head = (" " * GAP).join(_flush(each, each.name, width) for _, each, width in shown).rstrip()
    yield coded(head, BOLD) if screen.color else head
    rule = ("─" if screen.unicode else "-") * (sum(fitted.widths) + GAP * (len(shown) - 1))
    yield toned(rule, "quiet", screen.color)
    if not (fitted.breaks or screen.color):
        parallel = [
            _all_flush(column, [row[index] for row in cells], width) for index, column, width in shown
        ]
        for line in zip(*parallel, strict=True):
            yield (" " * GAP).join(line).rstrip()
        return
    for row in cells:
        parts = [
            broken(column, row[index], width) if fitted.breaks else [row[index]]
            for index, column, width in shown
        ]
        for number in range(max(map(len, parts))):
            texts = [
                _flush(column, part[number] if number < len(part) else "", width)
                for (_, column, width), part in zip(shown, parts, strict=True)
            ]
            if screen.color:
                texts = [
                    toned(text, column.tone_of(row[index]))
                    for (index, column, _), text in zip(shown, texts, strict=True)
                ]
            yield (" " * GAP).join(texts).rstrip()


def _all_flush(column: Column, cells: list[str], width: int) -> list[str]:
    if not "".join(cells).isascii():
        return [_flush(column, cell, width) for cell in cells]
    if column.is_numeric:
        return [cell.rjust(width) for cell in cells]
    return [cell.ljust(width) for cell in cells]


def _flush(column: Column, cell: str, width: int) -> str:
    if cell.isascii():
        return cell.rjust(width) if column.is_numeric else cell.ljust(width)
    space = " " * (width - width_of(cell))
    return space + cell if column.is_numeric else cell + space


def _below(columns: Sequence[Column], cells: list[list[str]], fitted: Fitted | None) -> Iterator[str]:
    """Yield what is the same in every row, and what there is no room for; few texts are given here."""
    if fitted is None:
        return
    if fitted.alike:
        yield "each line: " + ", ".join(f"{columns[index].name} {cells[0][index]}" for index in fitted.alike)
    names = []
    for index in fitted.left_out:
        texts = list(_of_few_rows(columns, cells, index))
        yield from texts
        names += [] if texts else [columns[index].name]
    if names:
        yield f"not shown: {', '.join(names)}; widen, or --columns"


def _of_few_rows(columns: Sequence[Column], cells: list[list[str]], index: int) -> Iterator[str]:
    """Yield each different text of a column and the rows that have it, if there are few texts."""
    lead = lead_of(columns)
    rows: dict[str, list[str]] = {}
    for row in cells:
        if row[index]:
            rows.setdefault(row[index], []).append(row[lead])
    if columns[index].wraps and len(rows) <= MOST_TEXTS:
        for text, names in rows.items():
            yield f"{columns[index].name} of {names[0]}{and_more(len(names) - 1)}: {text}"


def _stacked(columns: Sequence[Column], row: list[str], width: int, color: bool) -> Iterator[str]:
    lead = lead_of(columns)
    lines = broken(columns[lead], row[lead], width)
    used = width
    for index, (column, cell) in enumerate(zip(columns, row, strict=True)):
        if index == lead or not cell or cell == column.implied:
            continue
        text = " ".join(cell.split()) if column.kind == "bar" else cell
        part = toned(text, column.tone_of(text), color)
        size = width_of(text)
        if column.labelled:
            part = f"{toned(column.name, 'quiet', color)} {part}"
            size += 1 + len(column.name)
        if used + GAP + size > width:
            lines.append(" " * 4 + part)
            used = 4 + size
        else:
            lines[-1] += " " * GAP + part
            used += GAP + size
    yield from lines
