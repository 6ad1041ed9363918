"""Small drawings as SVG, from numbers of the records: bars, histograms, strips of bytes.

Sizes are attributes, which a page without inline styles may have; colours are classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from paramtool.render.html.markup import EMPTY, Markup, empty_tag, tag, text, together

LENGTH = 100
"""Units of a drawing from left to right."""

_HEIGHT = 10
_BAR = 24


def number(value: float) -> str:
    """Write a coordinate, a hundredth fine."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def bar(part: float, tone: str = "") -> Markup:
    """Return a bar of a `part` of the whole length, from 0 to 1; the number beside it says what it is."""
    return parted_bar([(part, tone)])


def parted_bar(parts: Sequence[tuple[float, str]]) -> Markup:
    """Return a bar of several parts, each with its tone, one after the other."""
    drawn, at = [], 0.0
    for part, tone in parts:
        width = max(0.0, min(part, 1.0)) * LENGTH
        if width:
            drawn.append(
                empty_tag("rect", f"t-{tone}" if tone else "", x=number(at) if at else None,
                          width=number(max(width, 0.5)), height=_HEIGHT)
            )  # fmt: skip
        at += width
    return tag("svg", *drawn, kind="bar", viewBox=f"0 0 {LENGTH} {_HEIGHT}", preserveAspectRatio="none",
               aria_hidden="true")  # fmt: skip


def histogram(counts: Sequence[int], tone: str = "") -> Markup:
    """Return the counts of equal bins as steps, the highest as high as the drawing."""
    highest = max(counts, default=0) or 1
    width = 6
    steps = "".join(f"V{number(_BAR - count / highest * _BAR)}h{width}" for count in counts)
    label = f"counts of {len(counts)} equal bins: {', '.join(map(str, counts))}"
    path = empty_tag("path", f"t-{tone}" if tone else "", d=f"M0 {_BAR}{steps}V{_BAR}z")
    return tag("svg", tag("title", text(label)), path, kind="hist", role="img",
               viewBox=f"0 0 {width * len(counts)} {_BAR}", preserveAspectRatio="none")  # fmt: skip


def strip(start: float, stop: float, whole: tuple[float, float], tone: str = "") -> Markup:
    """Return where `start` to `stop` lies in the `whole`, at least a hair wide."""
    low, high = whole
    size = (high - low) or 1
    at, end = ((each - low) / size * LENGTH for each in (start, stop))
    rect = empty_tag("rect", f"t-{tone}" if tone else "", x=number(min(at, LENGTH - 0.5)),
                     width=number(max(end - at, 0.5)), height=_HEIGHT)  # fmt: skip
    line = empty_tag("rect", "track", y=_HEIGHT / 2 - 0.5, width=LENGTH, height=1)
    return tag("svg", line, rect, kind="strip", viewBox=f"0 0 {LENGTH} {_HEIGHT}",
               preserveAspectRatio="none", aria_hidden="true")  # fmt: skip


class LogScale:
    """Lengths on a logarithmic scale that ends at the largest of some values.

    It spans three orders of magnitude at least, so that what is about the same looks the same; zero, NaN
    and infinity have no length.
    """

    DECADES = 3

    def __init__(self, values: Sequence[float | None]) -> None:
        logs = [math.log10(each) for each in values if is_drawn(each)]
        self.high = max(logs, default=0.0)
        self.low = min([*logs, self.high - self.DECADES]) - 0.1

    def part(self, value: float | None) -> float:
        """Return the length of a value, from 0 to 1."""
        if value is None or not is_drawn(value):
            return 0.0
        return (math.log10(value) - self.low) / (self.high - self.low)


def is_drawn(value: float | None) -> bool:
    """Return whether a value has a place on a logarithmic scale."""
    return value is not None and value > 0 and math.isfinite(value)


def legend(*entries: tuple[str, str]) -> Markup:
    """Return what the colours of a drawing mean.

    Args:
        entries: a tone and a text each.
    """
    keys = [
        tag("li", tag("svg", empty_tag("rect", f"t-{tone}", width=10, height=10), kind="key",
                      viewBox="0 0 10 10", aria_hidden="true"), text(said))
        for tone, said in entries
    ]  # fmt: skip
    return tag("ul", together(keys), kind="legend") if keys else EMPTY
