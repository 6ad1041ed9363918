"""Where a cell may go on in the next line: a name after a dot, a text after a space."""

from __future__ import annotations

import re

from paramtool.records.column import Column
from paramtool.render.screen import width_of

INDENT = "  "
"""What the rest of a name stands behind in the next line."""

_OF_NAMES = re.compile(r"(?<=[^.]\.)(?=[^.])")  # not in {0..11}
_OF_TEXTS = re.compile(r"(?<=\s)(?=\S)(?![^\[]*\])")  # not in [2, 3]
_IN_WORDS = re.compile(r"(?<=[^.]\.)(?=[A-Za-z_{])")  # of a name, not of a number


def pieces_of(column: Column, cell: str, width: int) -> list[str]:
    """Return the parts of a cell that stay whole; a word of a text is parted if it is wider than `width`."""
    if column.is_name:
        return _OF_NAMES.split(cell)
    words = _OF_TEXTS.split(cell)
    return [
        part for word in words for part in (_IN_WORDS.split(word) if _bare_width(word) > width else (word,))
    ]


def least_width(column: Column, cell: str) -> int:
    """Return the width that the longest part of a cell needs; a bar is done without."""
    if column.kind == "bar":
        return width_of(_number_of(cell))
    first, *rest = map(_bare_width, pieces_of(column, cell, 0))
    indent = len(INDENT) if column.is_name else 0
    return max([first, *(indent + each for each in rest)])


def two_line_width(column: Column, cell: str) -> int:
    """Return the least width in which a cell takes two lines at most."""
    if column.kind == "bar":
        return least_width(column, cell)
    pieces = pieces_of(column, cell, width_of(cell))
    indent = len(INDENT) if column.is_name else 0
    widths = [
        max(_bare_width("".join(pieces[:count])), indent + _bare_width("".join(pieces[count:])))
        for count in range(1, len(pieces))
    ]
    return min([width_of(cell), *widths])


def broken(column: Column, cell: str, width: int) -> list[str]:
    """Return a cell on as many lines of `width` as it needs; a part that is wider stays whole."""
    if width_of(cell) <= width:
        return [cell]
    if column.kind == "bar":
        return [_number_of(cell)]
    indent = INDENT if column.is_name else ""
    lines: list[str] = []
    for piece in pieces_of(column, cell, width):
        if lines and width_of(lines[-1]) + _bare_width(piece) <= width:
            lines[-1] += piece
        else:
            lines.append(indent + piece if lines else piece)
    return [line.rstrip() for line in lines]


def wrapped(text: str, width: int) -> list[str]:
    """Return a text on as many lines of `width` as it needs, broken after spaces."""
    lines = [""]
    for piece in re.split(r"(?<= )", text):
        if lines[-1] and width_of(lines[-1]) + _bare_width(piece) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _number_of(cell: str) -> str:
    """Return the number beside a bar."""
    return " ".join(cell.split()[:1])


def _bare_width(piece: str) -> int:
    return width_of(piece.rstrip())
