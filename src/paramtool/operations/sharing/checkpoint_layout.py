"""Where the tensors of a checkpoint would lie in memory.  No torch."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from math import prod

from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.records.extent import Extent
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing, ParameterRow


def layout_of_checkpoint(checkpoint: Checkpoint, listed: Listing) -> Layout:
    """Return the names that `listed` has of a checkpoint, and where their tensors are.

    Some files say which names are tied.  Others say which storage each tensor is in, and have a tied
    tensor several times: what lies at one place with one shape is one tensor.
    """
    stored = checkpoint.by_name
    first: dict[Hashable, str] = {}
    tied: dict[str, str] = {}
    for row in listed.rows:
        each = stored[row.tensor]
        if each.storage is not None and _is_somewhere(each):
            tied[row.tensor] = first.setdefault(_place(each), row.tensor)
    rows = tuple(_tied(row, tied.get(row.tensor, row.tensor)) for row in listed.rows)
    extents = {
        row.name: _extent(stored[row.name])
        for row in rows
        if row.tied_to is None and stored[row.name].storage is not None
    }
    return Layout(replace(listed, rows=rows), extents)


def _tied(row: ParameterRow, first: str) -> ParameterRow:
    tied_to = None if first == row.name else first
    return row if row.tied_to == tied_to else replace(row, tied_to=tied_to)


def _is_somewhere(stored: Stored) -> bool:
    return stored.nbytes > 0


def _place(stored: Stored) -> Hashable:
    return (stored.storage, stored.start, stored.dtype, stored.shape, stored.strides)


def _extent(stored: Stored) -> Extent:
    count = prod(stored.shape)
    size = stored.nbytes // count if count else 0
    if stored.strides is None:
        return Extent(stored.storage, stored.start, size, (count,), (size,))
    return Extent(
        stored.storage, stored.start, size, stored.shape, tuple(stride * size for stride in stored.strides)
    )
