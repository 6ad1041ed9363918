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
_THINNEST = 4


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
    return _steps(counts, tone, 0.0, LENGTH / (len(counts) or 1))


def placed_histogram(
    counts: Sequence[int], ends: tuple[float, float], whole: tuple[float, float], tone: str = ""
) -> Markup:
    """Return a histogram from one end to the other on a scale of the `whole`, so that two compare."""
    start, stop = (_along(each, whole) for each in ends)
    if stop - start < _THINNEST:  # one value, or what looks like one: a bar of the sum
        counts, stop = [sum(counts)], start + _THINNEST
    return _steps(counts, tone, min(start, LENGTH - _THINNEST), (stop - start) / (len(counts) or 1))


def _steps(counts: Sequence[int], tone: str, start: float, width: float) -> Markup:
    highest = max(counts, default=0) or 1
    steps = "".join(f"V{number(_BAR - count / highest * _BAR)}h{number(width)}" for count in counts)
    label = f"counts of {len(counts)} equal bins: {', '.join(map(str, counts))}"
    path = empty_tag("path", f"t-{tone}" if tone else "", d=f"M{number(start)} {_BAR}{steps}V{_BAR}z")
    return tag(
        "svg", tag("title", text(label)), path, kind="hist", role="img",
        viewBox=f"0 0 {LENGTH} {_BAR}", preserveAspectRatio="none",
    )  # fmt: skip


def _along(value: float, whole: tuple[float, float]) -> float:
    """Return where a value lies in the whole, in units of a drawing."""
    low, high = whole
    return (value - low) / ((high - low) or 1) * LENGTH


def strip(start: float, stop: float, whole: tuple[float, float], tone: str = "") -> Markup:
    """Return where `start` to `stop` lies in the `whole`, at least a hair wide."""
    at, end = (_along(each, whole) for each in (start, stop))
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
        logs = [each for each in map(decade, values) if each is not None]
        self.high = max(logs, default=0.0)
        self.low = min([*logs, self.high - self.DECADES]) - 0.1

    def part(self, value: float | None) -> float:
        """Return the length of a value, from 0 to 1."""
        found = decade(value)
        return 0.0 if found is None else (found - self.low) / (self.high - self.low)


def decade(value: float | None) -> float | None:
    """Return the place of a value on a logarithmic scale; None for zero and what is not finite."""
    return None if value is None or not value > 0 or math.isinf(value) else math.log10(value)


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
