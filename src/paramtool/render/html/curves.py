"""The spread of each output, and of the gradient that comes back to it, as two curves on a log scale."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paramtool.records.gradient import GradientRow
from paramtool.render.html.budget import short
from paramtool.render.html.drawings import decade, legend, number
from paramtool.render.html.markup import EMPTY, SPACE, Markup, empty_tag, tag, text, together

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 34
MOST_POINTS = 2000
MOST_DOTS = 100
MOST_LINES = 8
"""Lines of the grid, at most."""

_CURVES = (
    ("output_std", "accent", "std of the output, read from left to right"),
    ("gradient_std", "notable", "std of the loss's gradient there, read from right to left"),
)


def curves(rows: Sequence[GradientRow]) -> Markup:
    """Return the two curves over the calls of modules, in their order.

    A value that is zero, not finite or not known leaves a gap; what these are, the table says.
    """
    rows = _thinned(rows)
    places = [decade(getattr(row, name)) for row in rows for name, _, _ in _CURVES]
    known = [each for each in places if each is not None]
    if len(rows) < 2 or not known:
        return EMPTY
    low, high = math.floor(min(known)), math.ceil(max(known) + 1e-9)
    high = max(high, low + 1)
    plane = _Plane(len(rows), low, high)
    drawn = [plane.grid()]
    for name, tone, _ in _CURVES:
        drawn.append(plane.curve([getattr(row, name) for row in rows], tone))
        if len(rows) <= MOST_DOTS:
            drawn.append(plane.dots(rows, name, tone))
    said = f"{_ends(rows, 'output_std')}; {_ends(rows, 'gradient_std')}"
    inner = together([tag("title", text(said)), *drawn], SPACE)
    picture = tag("svg", inner, kind="plot", role="img", viewBox=f"0 0 {WIDTH} {HEIGHT}")
    return tag("figure", legend(*((tone, label) for _, tone, label in _CURVES)), picture,
               tag("figcaption", text(said)))  # fmt: skip


def _thinned(rows: Sequence[GradientRow]) -> Sequence[GradientRow]:
    step = -(-len(rows) // MOST_POINTS)
    return rows[:: max(1, step)]


def _ends(rows: Sequence[GradientRow], name: str) -> str:
    first, last = (getattr(rows[at], name) for at in (0, -1))
    said = ["unknown" if each is None else f"{each:.3g}" for each in (first, last)]
    return f"{name} from {said[0]} at the first to {said[1]} at the last module"


class _Plane:
    """Where a call and a value are in the drawing.

    Args:
        calls: how many there are.
        low, high: decades at the bottom and at the top.
    """

    def __init__(self, calls: int, low: int, high: int) -> None:
        self.calls, self.low, self.high = calls, low, high

    def x(self, at: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / (self.calls - 1)

    def y(self, place: float) -> float:
        part = (place - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> Markup:
        """Return the decades, and the first and last call."""
        drawn = []
        for mark in range(self.low, self.high + 1, -(-(self.high - self.low) // MOST_LINES)):
            y = number(self.y(mark))
            drawn.append(empty_tag("path", "grid", d=f"M{LEFT} {y}H{WIDTH - RIGHT}"))
            drawn.append(tag("text", text(f"1e{mark}"), x=LEFT - 6, y=y, dy="0.35em", text_anchor="end"))
        for at, anchor in ((0, "start"), (self.calls - 1, "end")):
            drawn.append(tag("text", text(f"call {at + 1}"), x=number(self.x(at)), y=HEIGHT - 12,
                             text_anchor=anchor))  # fmt: skip
        return together(drawn, SPACE)

    def curve(self, values: Sequence[float | None], tone: str) -> Markup:
        """Return a line through the values, with a gap where there is none."""
        path, is_down = [], False
        for at, place in enumerate(map(decade, values)):
            if place is not None:
                path.append(f"{'L' if is_down else 'M'}{number(self.x(at))} {number(self.y(place))}")
            is_down = place is not None
        return empty_tag("path", f"curve s-{tone}", d="".join(path)) if path else EMPTY

    def dots(self, rows: Sequence[GradientRow], name: str, tone: str) -> Markup:
        """Return a point for each value, which says what it is of where a pointer rests on it."""
        drawn = []
        for at, row in enumerate(rows):
            value = getattr(row, name)
            place = decade(value)
            if place is not None:
                said = tag("title", text(f"{short(row.name) or '(model)'}: {value:.4g}"))
                drawn.append(
                    tag(
                        "circle", said, kind=f"t-{tone}", cx=number(self.x(at)), cy=number(self.y(place)), r=3
                    )
                )
        return together(drawn, SPACE)
