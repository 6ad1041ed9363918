"""What each process holds of the tensors of a sharded model, and which of these parts count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch.distributed as dist
from torch import Tensor

from paramtool.errors import BadArgument, ParamtoolError
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharding import HeldPart, Place, held_part, lack_of_part, place_of

_Outline: TypeAlias = "tuple[str, tuple[int, ...], str, Place | None]"
"""The name, shape and dtype of a tensor, and which part of it a process holds."""


@dataclass(frozen=True)
class HeldParts:
    """Parts of tensors by name.

    Attributes:
        all: what this process holds.
        first: the names of those that no process before this one holds a copy of.
    """

    all: Mapping[str, HeldPart]
    first: frozenset[str]

    def counted(self) -> Iterator[tuple[str, HeldPart]]:
        """Yield the parts that are first: over all processes, each element of each tensor once."""
        return ((name, part) for name, part in self.all.items() if name in self.first)


def held_parts(tensors: Mapping[str, Tensor]) -> HeldParts:
    """Return what this process holds of the tensors; all processes call it, with one exchange.

    Args:
        tensors: the same names, shapes and dtypes in every process; those that are not sharded count as
            process 0 holds them.

    Raises:
        ParamtoolError: in every process, if one has other tensors, or some without values.
    """
    parts: dict[str, HeldPart] = {}

    def places() -> dict[str, Place | None]:
        parts.update((name, _readable(name, tensor)) for name, tensor in tensors.items())
        return {name: part.place for name, part in parts.items()}

    return HeldParts(parts, _first(tensors, places))


def first_parts(tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """Return the names of the tensors of which this process is the first to hold its part; see `held_parts`.

    They need no values.
    """
    return _first(tensors, lambda: {name: place_of(tensor) for name, tensor in tensors.items()})


def _first(tensors: Mapping[str, Tensor], places: Callable[[], Mapping[str, Place | None]]) -> frozenset[str]:
    """Return of which tensors this process is the first to hold what it does."""

    def work() -> list[_Outline]:
        found = places()
        return [(name, tuple(each.shape), str(each.dtype), found[name]) for name, each in tensors.items()]

    everyone = gathered(work)
    _check_same(everyone)
    own = dist.get_rank()
    return frozenset(
        same[0][0]
        for same in zip(*everyone, strict=True)
        if own in _holders([place for *_, place in same]).values()
    )


def _readable(name: str, tensor: Tensor) -> HeldPart:
    lack = lack_of_part(tensor)
    if lack:
        raise BadArgument(f"'{name}' {lack}")
    return held_part(tensor)


def _check_same(everyone: Sequence[Sequence[_Outline]]) -> None:
    first, *others = ([each[:3] for each in one] for one in everyone)
    for rank, other in enumerate(others, 1):
        if other != first:
            message = f"process {rank} has other tensors than process 0"
            raise ParamtoolError(message, hint="call it in every process, with the same model")


def _holders(places: Sequence[Place | None]) -> dict[Place, int]:
    """Return the first process for each part, in the division that the first process inside a mesh has.

    Groups of processes may each have a mesh of their own, and so copies of the whole.
    """
    found: dict[Place, int] = {}
    division = next((place[0] for place in places if place is not None), None)
    for rank, place in enumerate(places):
        if place is not None and place[0] == division:
            found.setdefault(place, rank)
    return found
