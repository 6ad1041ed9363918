"""What one thread converts at a time: a chunk of a tensor, or small tensors that lie together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from paramtool.elements.elements import BLOCK, CHUNK
from paramtool.files.writing.weights import WeightsWriter
from paramtool.operations.conversion.items import Item
from paramtool.operations.conversion.plan import Plan

SMALL = 1 << 14
"""Elements of a tensor that is converted together with its neighbours."""

Task: TypeAlias = "tuple[Sequence[Item], int]"
"""One tensor, and the first element of a chunk of it; or several small tensors, and 0."""


def tasks(plan: Plan, writer: WeightsWriter | None) -> Iterator[Task]:
    """Yield every tensor in chunks, and small ones together if they are neighbours in both files."""
    together: list[Item] = []
    size = 0
    for each in plan.stored:
        numel = math.prod(each.stored.shape)
        is_small = 0 < numel <= SMALL
        is_next = is_small and size + numel <= BLOCK
        if together and not (is_next and _are_neighbours(plan, together[-1], each, writer)):
            yield together, 0
            together, size = [], 0
        if is_small:
            together.append(each)
            size += numel
        else:
            for start in range(0, numel, CHUNK):
                yield [each], start
    if together:
        yield together, 0


def _are_neighbours(plan: Plan, one: Item, other: Item, writer: WeightsWriter | None) -> bool:
    return (
        one.dtype == other.dtype
        and one.source == other.source
        and plan.sources.elements(one).are_neighbours(one.was, other.was)
        and (writer is None or writer.are_neighbours(one.name, other.name))
    )
