"""Add rows up, every tensor once.  No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from paramtool.records.parameter import DtypeSum, ParameterRow, ParameterTotals


def totals(rows: Iterable[ParameterRow]) -> ParameterTotals:
    """Return the sums over `rows`, which are parameters, buffers and plain tensors.

    A tensor under several names counts once, with the first of its rows.
    """
    rows = count_once(rows)
    first = [row for row in rows if row.counted]
    parameters = [row for row in first if row.is_parameter]
    buffers = [row for row in first if row.kind == "buffer"]
    elements = sum(row.numel or 0 for row in parameters)
    is_parameters = all(row.kind != "stored" for row in parameters)
    is_known = is_parameters and all(row.requires_grad is not None for row in parameters)
    trainable = sum(row.numel or 0 for row in parameters if row.requires_grad) if is_known else None
    return ParameterTotals(
        names=sum(row.is_parameter for row in rows),
        tensors=len(parameters),
        parameters=elements,
        elements=None if is_parameters else elements,
        trainable=trainable,
        frozen=None if trainable is None else elements - trainable,
        nbytes=sum(row.nbytes or 0 for row in parameters),
        buffers=sum(row.numel or 0 for row in buffers),
        buffer_nbytes=sum(row.nbytes or 0 for row in buffers),
        plain_tensors=sum(row.kind == "tensor" for row in first),
        uninitialized=sum(row.shape is None for row in parameters),
        dtypes=_dtypes([*parameters, *buffers]),
    )


def _dtypes(rows: Iterable[ParameterRow]) -> Mapping[str, DtypeSum]:
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row.dtype is not None:
            numel, nbytes = found.get(row.dtype, (0, 0))
            found[row.dtype] = numel + (row.numel or 0), nbytes + (row.nbytes or 0)
    ordered = sorted(found.items(), key=lambda each: -each[1][1])
    return {dtype: DtypeSum(*sums) for dtype, sums in ordered}


def count_once(rows: Iterable[ParameterRow]) -> list[ParameterRow]:
    """Return `rows` with the first row of each tensor, and of each kind, as the one that is counted."""
    seen: set[tuple[str, str]] = set()
    told = []
    for row in rows:
        key = (row.kind, row.tensor)
        counted = key not in seen
        seen.add(key)
        told.append(row if row.counted == counted else replace(row, counted=counted))
    return told
