"""Where the tensors of a model are in memory, and which of them hold the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from paramtool.records.extent import Extent
from paramtool.records.parameter import Listing, ParameterRow


@dataclass(frozen=True)
class EqualValues:
    """Tensors, by their first names, that have the same bytes; and how many hold one value throughout."""

    groups: tuple[tuple[str, ...], ...]
    constant: int


@dataclass(frozen=True)
class Held:
    """What one of several processes holds of a model, by the first names of the tensors.

    Attributes:
        sharded: what processes hold together; its extents are those of a part.
        first: what no process before this one holds a copy of.
        gather: returns what each process gives it, in the order of their ranks.
    """

    sharded: frozenset[str]
    first: frozenset[str]
    gather: Callable[[Any], list[Any]]


@dataclass(frozen=True)
class Layout:
    """The names of a model, and where their tensors are.

    Attributes:
        listed: every name, tied ones with the first name of their tensor.
        extents: the memory of tensors, by their first names; a tensor without one overlaps with none.
        modules: the first path of each module, by every path that it has.
        equal: which tensors hold the same bytes; None if nobody compared them.
        held: of a model that processes hold together, what this one holds; None of any other.
    """

    listed: Listing
    extents: Mapping[str, Extent] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    equal: EqualValues | None = None
    held: Held | None = None

    @property
    def readable(self) -> list[ParameterRow]:
        """The rows of tensors that have memory, and so elements to compare."""
        if self.held is not None:  # the same in every process, also in one that holds nothing of some
            return [row for row in self.listed.rows if row.shape is not None]
        return [row for row in self.listed.rows if row.tensor in self.extents]

    def with_equal(self, equal: EqualValues) -> Layout:
        """Return the layout with what holds the same bytes."""
        return replace(self, equal=equal)
