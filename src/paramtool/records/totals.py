"""Add rows up, every tensor once.  No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from paramtool.records.constructor import changed
from paramtool.records.parameter import PARAMETER_KINDS, DtypeSum, ParameterRow, ParameterTotals


def totals(rows: Iterable[ParameterRow]) -> ParameterTotals:
    """Return the sums over `rows`, which are parameters, buffers and plain tensors.

    A tensor under several names counts once, with the first of its rows.
    """
    return totals_of_counted(count_once(rows))


_FACTS = attrgetter("kind", "counted", "dtype", "shape", "numel", "nbytes", "requires_grad")


class _Alike(NamedTuple):
    """What some rows have in common, of all that is added up, and how many they are."""

    kind: str
    counted: bool
    dtype: str | None
    shape: tuple[int, ...] | None
    numel: int | None
    nbytes: int | None
    requires_grad: bool | None
    times: int

    @property
    def elements(self) -> int:
        return (self.numel or 0) * self.times

    @property
    def size(self) -> int:
        return (self.nbytes or 0) * self.times


def totals_of_counted(rows: Collection[ParameterRow]) -> ParameterTotals:
    """Return the sums over `rows`, of which each says already whether it is counted."""
    groups = [_Alike._make((*facts, times)) for facts, times in Counter(map(_FACTS, rows)).items()]
    first = [each for each in groups if each.counted]
    parameters = [each for each in first if each.kind in PARAMETER_KINDS]
    buffers = [each for each in first if each.kind == "buffer"]
    elements = sum(each.elements for each in parameters)
    is_parameters = all(each.kind != "stored" for each in parameters)
    is_known = is_parameters and all(each.requires_grad is not None for each in parameters)
    trainable = sum(each.elements for each in parameters if each.requires_grad) if is_known else None
    return ParameterTotals(
        names=sum(each.times for each in groups if each.kind in PARAMETER_KINDS),
        tensors=sum(each.times for each in parameters),
        parameters=elements,
        elements=None if is_parameters else elements,
        trainable=trainable,
        frozen=None if trainable is None else elements - trainable,
        nbytes=sum(each.size for each in parameters),
        buffers=sum(each.elements for each in buffers),
        buffer_nbytes=sum(each.size for each in buffers),
        plain_tensors=sum(each.times for each in first if each.kind == "tensor"),
        uninitialized=sum(each.times for each in parameters if each.shape is None),
        dtypes=_dtypes([*parameters, *buffers]),
    )


def _dtypes(groups: Iterable[_Alike]) -> Mapping[str, DtypeSum]:
    found: dict[str, tuple[int, int]] = {}
    for each in groups:
        if each.dtype is not None:
            numel, nbytes = found.get(each.dtype, (0, 0))
            found[each.dtype] = numel + each.elements, nbytes + each.size
    ordered = sorted(found.items(), key=lambda each: -each[1][1])
    return {dtype: DtypeSum(*sums) for dtype, sums in ordered}


def count_once(rows: Iterable[ParameterRow]) -> list[ParameterRow]:
    """Return `rows` with the first row of each tensor, and of each kind, as the one that is counted."""
    seen: set[tuple[str, str]] = set()
    told = []
    for row in rows:
        key = (row.kind, row.name if row.tied_to is None else row.tied_to)
        counted = key not in seen
        seen.add(key)
        told.append(row if row.counted == counted else changed(row, counted=counted))
    return told
