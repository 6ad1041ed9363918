"""Which names share a tensor, or memory, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import (
    COUNT,
    DTYPE,
    INTERNAL,
    NAME,
    NBYTES,
    SHAPE,
    TYPE,
    column,
)
from paramtool.records.report import Report, Sums

SHARING_COLUMNS = (
    "group", "sharing", "name", "tied_to", "kind", "module", "type", "shape", "dtype", "nbytes",
    "start", "stop", "note",
)  # fmt: skip

_POSITION = column("number", "filled", drop=10)


@dataclass(frozen=True, kw_only=True)
class SharingRow:
    """One name that shares its tensor, or memory, with others.

    Attributes:
        group: the number of its group, from 1; of a folded row of several groups the first and the last,
            as ``1..12``.
        sharing: ``tied`` in a group of one tensor, ``aliased`` in one of tensors over overlapping memory,
            ``equal`` in one of tensors that share nothing and have the same bytes.
        name, type, shape, dtype, nbytes, kind: as `inspect` has them.
        tied_to: the first name of the same tensor; None for that first name itself.
        module: the first path of the module that owns it, where this module has several.
        start, stop: the bytes of the storage from the first element on to the last; None in a tied group,
            whose names all have the same.
        note: what is not certain.
        count: the number of names this row stands for; 1 but for folded rows.
    """

    group: int | str = field(metadata=column("number", pooled="span"))
    sharing: str = field(metadata=column(drop=8, labelled=False, tone="notable", tones={"tied": ""}))
    name: str = field(metadata=NAME)
    tied_to: str | None = field(metadata=column(shown="filled", tone="link", pooled="path"))
    kind: str = field(metadata=column(shown="filled", usual=("parameter", "stored"), drop=4, labelled=False))
    module: str | None = field(metadata=column("path", "filled", drop=6, pooled="path"))
    type: str | None = field(metadata=TYPE)
    shape: tuple[int, ...] | None = field(metadata=SHAPE)
    dtype: str | None = field(metadata=DTYPE)
    nbytes: int | None = field(metadata=NBYTES)
    start: int | None = field(default=None, metadata=_POSITION)
    stop: int | None = field(default=None, metadata=_POSITION)
    note: str | None = field(default=None, metadata=column(shown="filled", drop=11, wraps=True))
    count: int = field(default=1, metadata=COUNT)
    persistent: bool | None = field(default=None, repr=False, metadata=INTERNAL)


@dataclass(frozen=True)
class SharedModule:
    """One module under several paths; `type` is its class."""

    paths: tuple[str, ...]
    type: str


@dataclass(frozen=True, kw_only=True)
class SharingTotals(Sums):
    """Sums over the groups that are listed.

    Attributes:
        groups: number of groups; `tied`, `aliased` and `equal` of each sort.
        names: number of names in them.
        tensors: number of distinct tensors in them.
        nbytes: bytes of memory that these take.
        saved_nbytes: bytes more that they would take if no two names shared a byte.
        savable_nbytes: bytes less that they would take if those of equal value were tied.
        constant: tensors that hold one value throughout, as zero biases do: no values to be lost, so
            that they are not looked at for equal ones; None if nothing was looked at.
        modules: what is one object, in the order of the first path; not what lies in another of these.
    """

    row = SharingRow
    fold = "block"
    tells_of_none = True

    groups: int
    tied: int
    aliased: int
    equal: int
    names: int
    tensors: int
    nbytes: int
    saved_nbytes: int
    savable_nbytes: int
    constant: int | None = None
    modules: tuple[SharedModule, ...] = ()


Sharing: TypeAlias = Report[SharingRow, SharingTotals]
