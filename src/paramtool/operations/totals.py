"""Add rows up, every tensor once.  No torch."""

from __future__ import annotations

from collections.abc import Iterable

from paramtool.records.parameter import ParameterRow, ParameterTotals


def totals(rows: Iterable[ParameterRow]) -> ParameterTotals:
    """Return the sums over `rows`, which are parameters, buffers and plain tensors.

    A tensor under several names counts once, with the first of its rows.
    """
    names = 0
    first: dict[tuple[str, str], ParameterRow] = {}
    for row in rows:
        names += row.kind == "parameter"
        first.setdefault((row.kind, row.tensor), row)
    parameters = [row for row in first.values() if row.kind == "parameter"]
    buffers = [row for row in first.values() if row.kind == "buffer"]
    elements = sum(row.numel or 0 for row in parameters)
    trainable = sum(row.numel or 0 for row in parameters if row.requires_grad)
    return ParameterTotals(
        names=names,
        tensors=len(parameters),
        parameters=elements,
        trainable=trainable,
        frozen=elements - trainable,
        nbytes=sum(row.nbytes or 0 for row in parameters),
        buffers=sum(row.numel or 0 for row in buffers),
        buffer_nbytes=sum(row.nbytes or 0 for row in buffers),
        plain_tensors=sum(row.kind == "tensor" for row in first.values()),
        uninitialized=sum(row.shape is None for row in parameters),
    )
