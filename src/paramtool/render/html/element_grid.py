"""The elements of a small tensor as squares: the sign as the color, the magnitude as its strength."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from paramtool.records.parameter import Number, Values
from paramtool.render.html.drawings import LENGTH
from paramtool.render.html.markup import EMPTY, Markup, empty_tag, tag, text

LEVELS = 5
"""Strengths of a color: a fifth of the largest magnitude each."""

KEY = (("accent", "positive"), ("notable", "negative"), ("bad", "nan or inf"))

_WIDEST, _HIGHEST, _LARGEST_SIDE = 6 * LENGTH, 3 * LENGTH, 14
"""Pixels of a drawing, and of a square; no drawing is thinner than one, however long."""

Shade = tuple[str, int]


def element_grid(values: Values | None) -> Markup:
    """Return a square for each element; nothing for a scalar, and for elements that are not known.

    A tensor of one dimension is a row, one of more a row for each index of the first dimension.
    """
    rows = [list(_flat(each)) for each in values] if isinstance(values, tuple) else []
    if all(len(row) == 1 for row in rows):
        rows = [[row[0] for row in rows]]
    width = max(map(len, rows), default=0)
    largest = max((abs(each) for row in rows for each in row if math.isfinite(each)), default=0)
    if width < 2 or len({*map(len, rows)}) != 1:
        return EMPTY
    paths: dict[Shade, list[str]] = {}
    for y, row in enumerate(rows):
        for shade, start, count in _runs(row, largest):
            paths.setdefault(shade, []).append(f"M{start} {y}h{count}v1h-{count}z")
    drawn = [
        empty_tag("path", f"t-{tone}", d="".join(found), fill_opacity=level / LEVELS)
        for (tone, level), found in paths.items()
    ]
    side = max(1, min(_LARGEST_SIDE, _WIDEST // width, _HIGHEST // len(rows)))
    said = f"{len(rows)} by {width} elements; the strongest color is \N{PLUS-MINUS SIGN}{largest:.4g}"
    wide, high = (max(each * side, _LARGEST_SIDE) for each in (width, len(rows)))
    return tag(
        "svg", tag("title", text(said)), *drawn, kind="elements", role="img", width=wide, height=high,
        viewBox=f"0 0 {width} {len(rows)}", preserveAspectRatio="none",
    )  # fmt: skip


def _flat(values: Values) -> Iterator[Number]:
    if isinstance(values, tuple):
        for each in values:
            yield from _flat(each)
    else:
        yield values


def _runs(row: Sequence[Number], largest: float) -> Iterator[tuple[Shade, int, int]]:
    """Yield the shade of each run of elements that look the same, its first place and its length."""
    at = 0
    for shade, same in groupby(_shade(each, largest) for each in row):
        count = len(list(same))
        if shade is not None:
            yield shade, at, count
        at += count


def _shade(value: Number, largest: float) -> Shade | None:
    """Return a tone and a level from 1; None for zero."""
    if not math.isfinite(value):
        return "bad", LEVELS
    if not value:
        return None
    return "accent" if value > 0 else "notable", math.ceil(min(1.0, abs(value) / largest) * LEVELS) or 1
