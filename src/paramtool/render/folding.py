"""What makes two rows of different blocks alike, and the one row that stands for several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import singledispatch
from typing import Any, TypeVar

from paramtool.records.initialization import InitializationRow
from paramtool.records.parameter import ParameterRow
from paramtool.records.sharing import SharingRow
from paramtool.render.pooling import pooled_max, pooled_mean, pooled_min, pooled_std

Row = TypeVar("Row")


@singledispatch
def identity(row: Any, path: str) -> tuple[object, ...]:
    """Return what of `row` must agree between blocks.

    Args:
        row: of a block.
        path: the name of that block, with a dot.
    """
    raise TypeError(f"{type(row).__name__} stands for one name, in {path}")


def merged(rows: Sequence[Row], path: str, folded: str) -> Row:
    """Return the row that counts all names of `rows`, which are of one type; its `shape` is of one.

    Args:
        rows: alike, in the order of their blocks.
        path: the name of the first block, with a dot.
        folded: that of all of them.
    """
    found: Row = _merged(rows[0], rows, path, folded)
    return found


@singledispatch
def _merged(first: Any, rows: Sequence[Any], path: str, folded: str) -> Any:
    raise TypeError(f"{len(rows)} of {type(first).__name__} do not make one, in {path} and {folded}")


@identity.register
def _(row: ParameterRow, path: str) -> tuple[object, ...]:
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


@_merged.register
def _(first: ParameterRow, rows: Sequence[ParameterRow], path: str, folded: str) -> ParameterRow:
    return replace(
        first,
        tied_to=_moved(first.tied_to, path, folded),
        count=sum(row.count for row in rows),
        numel=_sum(row.numel for row in rows),
        nbytes=_sum(row.nbytes for row in rows),
    )


@identity.register
def _(row: InitializationRow, path: str) -> tuple[object, ...]:
    names = tuple(_relative(name, path) for name in row.names)
    return (names, row.shape, row.dtype, row.rule, row.skipped, row.note, row.expected_mean, row.expected_std)


@_merged.register
def _(
    first: InitializationRow, rows: Sequence[InitializationRow], _path: str, _folded: str
) -> InitializationRow:
    """Give the moments of all elements together."""
    counts = [row.numel for row in rows]
    means, before = [row.mean for row in rows], [row.mean_before for row in rows]
    return replace(
        first,
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


@identity.register
def _(row: SharingRow, path: str) -> tuple[object, ...]:
    names = (_relative(row.tied_to, path), _relative(row.module, path))
    return (
        names, row.sharing, row.type, row.shape, row.dtype, row.nbytes, row.persistent, row.start, row.stop,
        row.note,
    )  # fmt: skip


@_merged.register
def _(first: SharingRow, rows: Sequence[SharingRow], path: str, folded: str) -> SharingRow:
    return replace(
        first,
        group=_range([row.group for row in rows]),
        tied_to=_moved(first.tied_to, path, folded),
        module=_moved(first.module, path, folded),
        count=sum(row.count for row in rows),
        nbytes=_sum(row.nbytes for row in rows),
    )


def _relative(name: str | None, path: str) -> tuple[bool, str | None]:
    inside = name is not None and name.startswith(path)
    return (inside, name[len(path) :] if inside and name else name)


def _moved(name: str | None, path: str, to: str) -> str | None:
    """Return a name inside the module of `path` as one inside that of `to`."""
    return f"{to}{name[len(path) :]}" if name is not None and name.startswith(path) else name


def _range(groups: Sequence[int | str]) -> int | str:
    """Return the first and the last of some numbers, which may be such ranges themselves."""
    first, last = str(groups[0]).partition("..")[0], str(groups[-1]).rpartition("..")[2]
    return groups[0] if first == last else f"{first}..{last}"


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)
