"""Which tensors of a model overlap, also where each of several processes sees a part of them.  No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paramtool.operations.sharing.overlap import Groups, Overlaps, overlaps
from paramtool.records.extent import Extent, covered
from paramtool.records.layout import Held, Layout


@dataclass(frozen=True)
class SharedMemory:
    """Tensors that overlap, by their first names.

    Attributes:
        groups: of two and more, each connected, in the order of their first members.
        doubtful: members of which it is not certain that they overlap with another.
        extents: the memory of tensors.
        sharded: what processes hold together; its bytes have no position that is the same in all.
        sizes: the bytes that each group with such a member takes in all processes together.
    """

    groups: tuple[tuple[str, ...], ...]
    doubtful: frozenset[str]
    extents: Mapping[str, Extent]
    sharded: frozenset[str] = frozenset()
    sizes: Mapping[frozenset[str], int] = field(default_factory=dict)

    def has_positions(self, group: Sequence[str]) -> bool:
        """Return whether the bytes of a group are counted from one place."""
        return self.sharded.isdisjoint(group)

    def size(self, group: Sequence[str]) -> int:
        """Return the bytes that the members of a group take together."""
        known = self.sizes.get(frozenset(group))
        return covered(self.extents[name] for name in group) if known is None else known


def shared_memory(layout: Layout) -> SharedMemory:
    """Return which tensors overlap; of a sharded model all processes ask, and hear the same.

    Tensors overlap if their parts do in any process.
    """
    own = overlaps(layout.extents)
    if layout.held is None:
        return SharedMemory(own.groups, own.doubtful, layout.extents)
    everyone: list[Overlaps[str]] = layout.held.gather(own)
    joined = Groups(row.name for row in layout.listed.rows if row.tied_to is None)
    for each in everyone:
        for group in each.groups:
            joined.join(*group)
    groups = joined.of_several()
    doubtful = frozenset().union(*(each.doubtful for each in everyone))
    taken = layout.held.gather([_own_size(group, layout.extents, layout.held) for group in groups])
    sizes = {
        frozenset(group): sum(each) for group, each in zip(groups, zip(*taken, strict=True), strict=True)
    }
    return SharedMemory(groups, doubtful, layout.extents, layout.held.sharded, sizes)


def _own_size(group: Sequence[str], extents: Mapping[str, Extent], held: Held) -> int:
    """Return the bytes of a group that this process is the first to hold."""
    own = [extents[name] for name in group if name in held.first and name in extents]
    return covered(own) if own else 0
