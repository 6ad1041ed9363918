"""Fold the parameters of identical numbered blocks whose gradients have the same verdict."""

from __future__ import annotations

import re
from collections.abc import Sequence

from paramtool.records.gradient import GradientRow
from paramtool.render.blocks import fold_blocks

_SPAN = re.compile(r"\{(\d+)\.\.\d+\}")


def fold_gradients(rows: Sequence[GradientRow]) -> Sequence[GradientRow]:
    """Return `rows` with the parameters of numbered blocks as one each, as `inspect` has them.

    The norm is that of all of them as one vector; `abs_max` and `ratio` are the largest, `sensitivity` the
    smallest.  A parameter whose uses are listed, or whose gradient is printed, stays by itself.
    """
    alone = [row for row, below in zip(rows, [*rows[1:], None], strict=True) if _is_alone(row, below)]
    if len(alone) < 2:
        return rows
    places = {id(row): place for place, row in enumerate(rows)}
    first = {row.name: places[id(row)] for row in alone}
    placed = [(_place(row.name, first), row) for row in fold_blocks(alone)]
    chosen = set(map(id, alone))
    placed += [(places[id(row)], row) for row in rows if id(row) not in chosen]
    return [row for _, row in sorted(placed, key=lambda each: each[0])]


def _is_alone(row: GradientRow, below: GradientRow | None) -> bool:
    return row.kind == "parameter" and row.gradient is None and (below is None or below.kind != "use")


def _place(name: str, first: dict[str, int]) -> int:
    """Return where the first of the names that are folded into `name` stands."""
    return first[name] if name in first else first[_SPAN.sub(r"\1", name)]
