"""What makes two rows of different blocks alike, and the one row that stands for several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from paramtool.records.initialization import InitializationRow
from paramtool.records.parameter import ParameterRow
from paramtool.render.pooling import pooled_max, pooled_mean, pooled_min, pooled_std

Foldable: TypeAlias = "ParameterRow | InitializationRow"
"""A record that can stand for several names."""


def identity(row: Foldable, path: str) -> tuple[object, ...]:
    """Return what of `row` must agree between blocks.

    Args:
        row: of a block.
        path: the name of that block, with a dot.
    """
    if isinstance(row, InitializationRow):
        names = tuple(_relative(name, path) for name in row.names)
        law = (row.rule, row.skipped, row.note, row.expected_mean, row.expected_std)
        return (names, row.shape, row.dtype, law)
    return (
        row.type,
        row.shape,
        row.numel,  # all that is known of a module that is folded to a depth
        row.nbytes,
        row.dtype,
        row.requires_grad,
        row.persistent,
        row.counted,
        _relative(row.tied_to, path),
    )


def merged(rows: Sequence[Foldable], path: str, folded: str) -> Foldable:
    """Return the row that counts all names of `rows`, which are of one type; its `shape` is of one.

    Args:
        rows: alike, in the order of their blocks.
        path: the name of the first block, with a dot.
        folded: that of all of them.
    """
    if isinstance(rows[0], InitializationRow):
        return _merged_initialization([row for row in rows if isinstance(row, InitializationRow)])
    return _merged_parameters([row for row in rows if isinstance(row, ParameterRow)], path, folded)


def _merged_parameters(rows: Sequence[ParameterRow], path: str, folded: str) -> ParameterRow:
    tied_to = rows[0].tied_to
    if tied_to is not None and tied_to.startswith(path):
        tied_to = folded + tied_to[len(path) :]
    return replace(
        rows[0],
        tied_to=tied_to,
        count=sum(row.count for row in rows),
        numel=_sum(row.numel for row in rows),
        nbytes=_sum(row.nbytes for row in rows),
    )


def _merged_initialization(rows: Sequence[InitializationRow]) -> InitializationRow:
    """Give the moments of all elements together."""
    counts = [row.numel for row in rows]
    means, before = [row.mean for row in rows], [row.mean_before for row in rows]
    return replace(
        rows[0],
        names=tuple(name for row in rows for name in row.names),
        numel=sum(counts),
        count=sum(row.count for row in rows),
        mean=pooled_mean(counts, means),
        std=pooled_std(counts, means, [row.std for row in rows]),
        min=pooled_min([row.min for row in rows]),
        max=pooled_max([row.max for row in rows]),
        mean_before=pooled_mean(counts, before),
        std_before=pooled_std(counts, before, [row.std_before for row in rows]),
        min_before=pooled_min([row.min_before for row in rows]),
        max_before=pooled_max([row.max_before for row in rows]),
    )


def _relative(name: str | None, path: str) -> tuple[bool, str | None]:
    inside = name is not None and name.startswith(path)
    return (inside, name[len(path) :] if inside and name else name)


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)
