"""What each process holds of the tensors of a sharded model, and which of these parts count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch.distributed as dist
from torch import Tensor

from paramtool.errors import BadArgument, ParamtoolError
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharding import HeldPart, Place, held_part, lack_of_part, place_of


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
    names = list(tensors)
    outline = sha256(repr(_outline(tensors)).encode()).hexdigest()  # short, for there may be many tensors

    def work() -> tuple[str, list[Place | None]]:
        found = places()
        return outline, [found[name] for name in names]

    everyone = gathered(work)
    if len({each for each, _ in everyone}) > 1:
        raise _difference(gathered(lambda: dict(_outline(tensors))))
    own = dist.get_rank()
    divided = zip(*(found for _, found in everyone), strict=True)
    return frozenset(
        name for name, held in zip(names, divided, strict=True) if own in _holders(held).values()
    )


def _outline(tensors: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """Return the names with what is said of each: its sizes and dtype."""
    return [(name, f"{list(each.shape)} {dtype_name(each)}") for name, each in tensors.items()]


def _difference(everyone: Sequence[Mapping[str, str]]) -> ParamtoolError:
    """Return what differs between the tensors of two processes."""
    first = everyone[0]
    rank, other = next(
        (rank, each) for rank, each in enumerate(everyone) if list(each.items()) != list(first.items())
    )
    name = next((each for each in (*first, *other) if first.get(each) != other.get(each)), None)
    hint = "call it in every process, with the same model"
    if name is None:
        return ParamtoolError(f"process {rank} has its tensors in another order than process 0", hint=hint)
    was, now = (each.get(name, "missing") for each in (first, other))
    return ParamtoolError(f"'{name}' is {was} in process 0 and {now} in process {rank}", hint=hint)


def _readable(name: str, tensor: Tensor) -> HeldPart:
    lack = lack_of_part(tensor)
    if lack:
        raise BadArgument(f"'{name}' {lack}")
    return held_part(tensor)


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
