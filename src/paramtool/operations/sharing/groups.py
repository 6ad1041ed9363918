"""Group names by the tensor, and tensors by the memory, that they share.  No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paramtool.name_parts import parent, parents
from paramtool.operations.listing.selection import Selection, select
from paramtool.operations.sharing.overlap import Groups
from paramtool.operations.sharing.shared_memory import SharedMemory, shared_memory
from paramtool.records.layout import EqualValues, Layout
from paramtool.records.parameter import ParameterRow
from paramtool.records.report import Report
from paramtool.records.sharing import SHARING_COLUMNS, SharedModule, Sharing, SharingRow, SharingTotals

UNCERTAIN = "may overlap"


@dataclass(frozen=True)
class _Group:
    """Tensors by their first names, those that overlap together, and the rows of all their names."""

    memories: tuple[tuple[str, ...], ...]
    rows: tuple[ParameterRow, ...]

    @property
    def sharing(self) -> str:
        if len(self.memories) > 1:
            return "equal"
        return "tied" if len(self.memories[0]) == 1 else "aliased"


def share(layout: Layout, *, selection: Selection | None = None) -> Sharing:
    """Return a row for each name that shares its tensor, or memory, with another.

    A group is of one tensor under several names, or of tensors that are connected by common bytes.  A
    plain tensor is in it only where it shares with a parameter or buffer.

    Args:
        layout: the names, and where their tensors are; what it knows to have the same bytes is a group too.
        selection: keep the groups of which it keeps a name.

    Raises:
        NothingMatched: if the selection keeps no name at all.
        ParamtoolError: for a pattern that searches too long.
    """
    listed, equal = layout.listed, layout.equal
    kept = {row.name for row in select(listed.rows, selection or Selection())}
    found = shared_memory(layout)
    groups = [
        group
        for group in _groups(listed.rows, found.groups, equal.groups if equal else ())
        if any(row.name in kept for row in group.rows)
    ]
    paths = _paths(layout.modules)
    rows = tuple(
        _row(number, group, row, layout, paths, found)
        for number, group in enumerate(groups, 1)
        for row in group.rows
    )
    totals = _totals(groups, found, _shared_modules(rows, paths, listed.modules), equal)
    return Report("shared", listed.model, rows, totals, SHARING_COLUMNS, listed.modules)


def representatives(report: Sharing) -> dict[str, str]:
    """Return the first name of its group by each name in `report`."""
    first: dict[int | str, str] = {}
    return {row.name: first.setdefault(row.group, row.name) for row in report.rows}


def _groups(
    rows: Iterable[ParameterRow], overlapping: Iterable[Sequence[str]], equal: Iterable[Sequence[str]]
) -> Iterator[_Group]:
    """Yield the groups that share something, in the order of their first names."""
    tensors: dict[str, list[ParameterRow]] = {}
    for row in rows:
        tensors.setdefault(row.tensor, []).append(row)
    memories, groups = Groups(tensors), Groups(tensors)
    for each in overlapping:
        memories.join(*each)
    for each in (*memories.of_several(), *equal):
        groups.join(*each)
    for names in groups.all():
        members = [row for name in names for row in tensors[name]]
        if len(members) > 1 and any(row.kind != "tensor" for row in members):
            parts: dict[str, list[str]] = {}
            for name in names:
                parts.setdefault(memories.root(name), []).append(name)
            yield _Group(tuple(map(tuple, parts.values())), tuple(members))


def _row(
    number: int,
    group: _Group,
    row: ParameterRow,
    layout: Layout,
    paths: Mapping[str, Sequence[str]],
    found: SharedMemory,
) -> SharingRow:
    start = stop = note = None
    if group.sharing == "aliased":
        if found.has_positions(group.memories[0]):
            extent = layout.extents[row.tensor]
            origin = min(layout.extents[name].origin for name in group.memories[0])
            start, stop = extent.start - origin, extent.stop - origin
        note = UNCERTAIN if row.tensor in found.doubtful else None
    first = layout.modules.get(parent(row.name))
    return SharingRow(
        group=number,
        sharing=group.sharing,
        name=row.name,
        tied_to=row.tied_to,
        kind=row.kind,
        module=first if first in paths else None,
        type=row.type,
        shape=row.shape,
        dtype=row.dtype,
        nbytes=row.nbytes,
        start=start,
        stop=stop,
        note=note,
        persistent=row.persistent,
    )


def _paths(modules: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the paths of the modules that have several, by the first."""
    count = Counter(modules.values())
    found: dict[str, list[str]] = {}
    for path, first in modules.items():
        if count[first] > 1:
            found.setdefault(first, []).append(path)
    return found


def _shared_modules(
    rows: Iterable[SharingRow], paths: Mapping[str, Sequence[str]], types: Mapping[str, str]
) -> tuple[SharedModule, ...]:
    """Return the modules with several paths that `rows` are in, without what goes with such a one."""
    if not paths:  # of a file, whose names may be of any depth
        return ()
    several = {path for each in paths.values() for path in each}
    above = {path for row in rows for path in parents(row.name) if path}
    return tuple(
        SharedModule(tuple(each), types.get(first, ""))
        for first, each in paths.items()
        if first in above and not several.issuperset(map(parent, each))
    )


def _totals(
    groups: Sequence[_Group],
    found: SharedMemory,
    modules: tuple[SharedModule, ...],
    equal: EqualValues | None,
) -> SharingTotals:
    sizes = {row.tensor: row.nbytes or 0 for group in groups for row in group.rows}
    taken = [[_size(memory, sizes, found) for memory in group.memories] for group in groups]
    nbytes = sum(map(sum, taken))
    count = Counter(group.sharing for group in groups)
    return SharingTotals(
        groups=len(groups),
        tied=count["tied"],
        aliased=count["aliased"],
        equal=count["equal"],
        names=sum(len(group.rows) for group in groups),
        tensors=len(sizes),
        nbytes=nbytes,
        saved_nbytes=sum(row.nbytes or 0 for group in groups for row in group.rows) - nbytes,
        savable_nbytes=sum(sum(each) - max(each) for each in taken),
        constant=None if equal is None else equal.constant,
        modules=modules,
    )


def _size(memory: Sequence[str], sizes: Mapping[str, int], found: SharedMemory) -> int:
    """Return the bytes that tensors which overlap take together."""
    return sizes[memory[0]] if len(memory) == 1 else found.size(memory)
