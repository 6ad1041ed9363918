"""Where two models differ: a row for each layer, a column for each kind of tensor in it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from paramtool.records.difference import DifferenceRow
from paramtool.render.html.layers import places
from paramtool.render.html.markup import EMPTY, Markup, tag, text
from paramtool.render.html.table import framed, name_cell

MOST_LAYERS = 150
MOST_KINDS = 24

LEVELS = 7
"""Shades, from the smallest change to the largest."""

_DECADES = 3
"""Orders of magnitude that the shades span at most."""


def heat_map(rows: Sequence[DifferenceRow]) -> Markup:
    """Return the map; nothing if all differences are in one layer or of names without numbers.

    Where values were compared a cell has the largest change, as RMS of the difference over RMS of what was
    there; else the number of differences.
    """
    found = places(row.name for row in rows)
    cells: dict[tuple[str, str], list[DifferenceRow]] = {}
    for row in rows:
        cells.setdefault(found[row.name], []).append(row)
    layers = list(dict.fromkeys(layer for layer, _ in cells))
    kinds = list(dict.fromkeys(kind for _, kind in cells))
    if len(layers) < 2:
        return EMPTY
    values = {place: _value(inside) for place, inside in cells.items()}
    finite = [each for each in values.values() if each and math.isfinite(each)]
    high = math.log10(max(finite)) if finite else 0.0
    low = max(min(map(math.log10, finite)), high - _DECADES) if finite else 0.0
    head = tag("tr", tag("th", text("layer"), scope="col"),
               *(tag("th", name_cell(each), scope="col") for each in kinds[:MOST_KINDS]))  # fmt: skip
    body = [
        tag("tr", tag("th", name_cell(layer), scope="row"),
            *(_cell(cells.get((layer, kind)), values.get((layer, kind)), low, high)
              for kind in kinds[:MOST_KINDS]))
        for layer in layers[:MOST_LAYERS]
    ]  # fmt: skip
    is_of_values = any(row.relative_rms is not None for row in rows)
    said = (
        "relative_rms of the values, in shades on a log scale, else the change"
        if is_of_values
        else "the change"
    )
    return framed("Layer by kind", f"{said}{_left_out(len(layers), len(kinds))}",
                  tag("thead", head), tag("tbody", *body), kind="heat")  # fmt: skip


def _value(rows: Sequence[DifferenceRow]) -> float | None:
    known = [row.relative_rms for row in rows if row.relative_rms is not None]
    return math.nan if any(map(math.isnan, known)) else max(known, default=None)


def _cell(rows: Sequence[DifferenceRow] | None, value: float | None, low: float, high: float) -> Markup:
    if not rows:
        return tag("td")
    changes = dict.fromkeys(row.change for row in rows)
    others = [each for each in changes if each != "values"]
    said = ", ".join([*([f"{value:.2g}"] if value is not None else []), *others]) or "values"
    if len(rows) > len(changes):
        said += f" ×{len(rows)}"
    if others:
        breaks = any(row.breaks for row in rows)
        return tag("td", text(said), kind=f"heat-{'breaks' if breaks else 'other'}")
    return tag("td", text(said), kind=f"heat-{_level(value, low, high)}")


def _level(value: float | None, low: float, high: float) -> int:
    """Return the shade of a value, from 1 to `LEVELS`; what is not finite has the darkest."""
    if not value:
        return 1
    if not math.isfinite(value):
        return LEVELS
    part = (math.log10(value) - low) / (high - low) if high > low else 1.0
    return 1 + round(max(0.0, part) * (LEVELS - 1))


def _left_out(layers: int, kinds: int) -> str:
    said = []
    if layers > MOST_LAYERS:
        said.append(f"the first {MOST_LAYERS} of {layers:,} layers")
    if kinds > MOST_KINDS:
        said.append(f"the first {MOST_KINDS} of {kinds:,} kinds")
    return f"; {' and '.join(said)}, all are below" if said else ""
