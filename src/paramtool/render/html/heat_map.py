"""Where two models differ: a row for each layer, a column for each kind of tensor in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from paramtool.records.difference import DifferenceRow
from paramtool.render.html.drawings import decade
from paramtool.render.html.layers import Place, number_of, places
from paramtool.render.html.markup import EMPTY, Markup, tag, text
from paramtool.render.html.table import framed, name_cell

MOST_LAYERS = 150
MOST_KINDS = 24

LONGEST = 60
"""Characters of the name of a layer or a kind."""

LEVELS = 7
"""Shades, from the smallest number to the largest."""

_DECADES = 3
"""Orders of magnitude that the shades span at most."""

Measure = Literal["relative_rms", "effective_rank"]
Cells = Mapping[Place, Sequence[DifferenceRow]]


def heat_map(rows: Sequence[DifferenceRow], measure: Measure) -> Markup:
    """Return the map of the largest numbers in each place; nothing if all differences are in one layer.

    A difference without such a number is shown as its change; in a map of effective ranks it has no place.
    """
    found = places(row.name for row in rows)
    cells: dict[Place, list[DifferenceRow]] = {}
    for row in rows:
        if measure == "relative_rms" or row.effective_rank is not None:
            cells.setdefault(found[row.name], []).append(row)
    kinds = _most_frequent(place.kind for place in cells)
    layers = _in_order(place.layer for place in cells if place.kind in kinds)
    if len(layers) < 2:
        return EMPTY
    values = {place: _largest(inside, measure) for place, inside in cells.items()}
    shades = _Shades(values.values())
    head = [tag("th", name_cell(kind, LONGEST), scope="col") for kind in kinds]
    body = [
        tag("tr", tag("th", name_cell(layer, LONGEST), scope="row"),
            *(_cell(cells.get(place, ()), values.get(place), shades)
              for place in (Place(layer, kind) for kind in kinds)))
        for layer in layers[:MOST_LAYERS]
    ]  # fmt: skip
    said = _caption(rows, measure) + _left_out(cells, len(layers), len(kinds))
    return framed(f"{measure} by layer and kind", said,
                  tag("thead", tag("tr", tag("th", text("layer"), scope="col"), *head)), tag("tbody", *body),
                  kind="heat")  # fmt: skip


def _most_frequent(kinds: Iterable[str]) -> list[str]:
    """Return the kinds that most layers have, in their own order."""
    counts = Counter(kinds)
    kept = {kind for kind, _ in counts.most_common(MOST_KINDS)}
    return [kind for kind in counts if kind in kept]


def _in_order(layers: Iterable[str]) -> list[str]:
    """Return the layers in their order, but numbered ones by their numbers: files may have 10 before 2."""
    found = list(dict.fromkeys(layers))
    firsts: dict[str, int] = {}
    for at, layer in enumerate(found):
        firsts.setdefault(number_of(layer)[0], at)
    return sorted(found, key=lambda layer: (firsts[number_of(layer)[0]], number_of(layer)[1]))


def _largest(rows: Sequence[DifferenceRow], measure: Measure) -> float | None:
    known = [value for value in (getattr(row, measure) for row in rows) if value is not None]
    return math.nan if any(map(math.isnan, known)) else max(known, default=None)


class _Shades:
    """Shades for numbers on a log scale.

    Args:
        values: all that there are.
    """

    def __init__(self, values: Iterable[float | None]) -> None:
        logs = [each for each in map(decade, values) if each is not None]
        self._high = max(logs, default=0.0)
        self._low = max(min(logs, default=0.0), self._high - _DECADES)

    def level(self, value: float | None) -> int:
        """Return the shade of a value, from 1 to `LEVELS`; what is not finite has the darkest."""
        place = decade(value)
        if place is None:
            return 1 if not value else LEVELS
        span = self._high - self._low
        part = (place - self._low) / span if span > 0 else 1.0
        return 1 + round(max(0.0, part) * (LEVELS - 1))


def _cell(rows: Sequence[DifferenceRow], value: float | None, shades: _Shades) -> Markup:
    if not rows:
        return tag("td")
    changes = dict.fromkeys(row.change for row in rows)
    others = [each for each in changes if each != "values"]
    said = ", ".join([*([f"{value:.2g}"] if value is not None else []), *others]) or "values"
    if len(rows) > len(changes):
        said += f" ×{len(rows)}"
    shade: int | str = shades.level(value)
    if others:
        shade = "breaks" if any(row.breaks for row in rows) else "other"
    return tag("td", text(said), kind=f"heat-{shade}")


def _caption(rows: Sequence[DifferenceRow], measure: Measure) -> str:
    if any(getattr(row, measure) is not None for row in rows):
        others = "" if measure == "effective_rank" else ", else the change"
        return f"{measure}, in shades on a log scale{others}"
    return "the change"


def _left_out(cells: Cells, layers: int, kinds: int) -> str:
    """Return what is not drawn, in words."""
    all_kinds = len({place.kind for place in cells})
    all_layers = len({place.layer for place in cells})
    said = []
    if min(layers, MOST_LAYERS) < all_layers:
        said.append(f"{min(layers, MOST_LAYERS):,} of {all_layers:,} layers")
    if kinds < all_kinds:
        said.append(f"the {kinds} most frequent of {all_kinds:,} kinds")
    return f"; {' and '.join(said)}, all are below" if said else ""
