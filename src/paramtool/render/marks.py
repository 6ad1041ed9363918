"""What a table shows beside the values of single cells: the branch of a use, a bar beside a std."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paramtool.render.cells import for_people, is_use
from paramtool.render.columns import Section

BAR = 12
"""Characters of the longest bar."""

_DECADES = 3
"""Orders of magnitude that a bar spans at least, so that what is about the same looks the same."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_BARS = ("output_std", "gradient_std")


def marked(section: Section, unicode: bool = True) -> list[list[str]]:
    """Return the cells of a table, row after row."""
    cells = [[for_people(row, column, unicode) for column in section.columns] for row in section.rows]
    for index, row in enumerate(section.rows):
        if is_use(row):
            is_last = index + 1 == len(cells) or not is_use(section.rows[index + 1])
            branch = ("└" if is_last else "├") if unicode else ("`" if is_last else "|")
            cells[index][0] = f"{branch} {for_people(row, 'module', unicode)}"
    for column in _BARS:
        if column in section.columns:
            at = section.columns.index(column)
            bars = _bars([getattr(row, column) for row in section.rows], unicode)
            width = max((len(line[at]) for line in cells), default=0)
            for line, bar in zip(cells, bars, strict=True):
                line[at] = f"{line[at]:>{width}} {bar:<{BAR}}"
    return cells


def _bars(values: Sequence[float | None], unicode: bool) -> list[str]:
    """Return a bar for each value, on a logarithmic scale that ends at the largest."""
    logs = [math.log10(each) if each and math.isfinite(each) else None for each in values]
    known = [each for each in logs if each is not None]
    if not known:
        return ["" for _ in values]
    high = max(known)
    low = min(*known, high - _DECADES)
    step = (high - low) / (8 * BAR - 1)
    return [_bar(0 if each is None else 1 + round((each - low) / step), unicode) for each in logs]


def _bar(eighths: int, unicode: bool) -> str:
    if not unicode:
        return "#" * -(-eighths // 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
