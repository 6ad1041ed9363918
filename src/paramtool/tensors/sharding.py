"""The part of a sharded tensor that this process holds: a DTensor of FSDP2 or tensor parallel."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from paramtool.tensors.kinds import dense, lack_of_values
from paramtool.tensors.named_tensors import named_tensors

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

Place: TypeAlias = "tuple[str, tuple[int, ...]]"
"""How a tensor is divided, and the coordinates of a part."""

PARTIAL = "is a partial sum on each process; redistribute it first"


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor, whose elements several processes hold."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def has_sharded(module: nn.Module | Mapping[str, Tensor]) -> bool:
    """Return whether a module, or a state_dict, has a tensor that is sharded."""
    if "torch.distributed.tensor" not in sys.modules:
        return False
    tensors = (
        (each.tensor for each in named_tensors(module)) if isinstance(module, nn.Module) else module.values()
    )
    return any(isinstance(each, Tensor) and is_sharded(each) for each in tensors)


def are_alike(one: Tensor, other: Tensor) -> bool:
    """Return whether two DTensors of one shape have the same elements on the same processes."""
    a: Any = one
    b: Any = other
    return bool(a.shape == b.shape and a.device_mesh == b.device_mesh and a.placements == b.placements)


def local_of(tensor: Tensor) -> Tensor:
    """Return what this process holds of a DTensor, without a gradient function; any other tensor as it is."""
    return tensor._local_tensor if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def whole_tensor(tensor: Tensor) -> Tensor:
    """Return all elements of a DTensor in every process of its mesh, which gradients go back through."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def arrived(tensor: Tensor) -> Tensor:
    """Return the elements of a tensor that may still be on their way here; any other tensor as it is."""
    module = sys.modules.get("torch.distributed._functional_collectives")
    is_sent = module is not None and isinstance(tensor, module.AsyncCollectiveTensor)
    return tensor.trigger_wait() if is_sent else tensor  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Lines:
    """A part of a tensor that is seen as lines of one width, in row-major order.

    Attributes:
        rows: the lines that it has elements of.
        columns: the elements of each line that it has.
        width: of a line, in elements.
    """

    rows: range
    columns: range
    width: int


@dataclass(frozen=True)
class HeldPart:
    """What this process holds of a sharded tensor.

    Attributes:
        local: its own elements.
        shape: the sizes of the whole.
        indexes: for each dimension the indexes of the whole that `local` has, in its order: int64.
        place: which part of the whole it is, in which division; processes with the same one hold copies.
            None outside of the mesh, where nothing is held.
    """

    local: Tensor
    shape: tuple[int, ...]
    indexes: tuple[Tensor, ...]
    place: Place | None

    @property
    def run(self) -> tuple[int, int] | None:
        """The numbers of the first element and the one after the last; None if others lie between.

        Elements are numbered in the row-major order of the whole.  They follow each other if only the first
        dimension is sharded, into runs of consecutive indexes.
        """
        if not self.local.numel() or not self.shape:
            return (0, self.local.numel())
        first, *others = self.indexes
        is_whole = all(len(each) == size for each, size in zip(others, self.shape[1:], strict=True))
        begin, end = int(first[0]), int(first[-1]) + 1
        if not is_whole or end - begin != len(first):
            return None
        row = math.prod(self.shape[1:])
        return begin * row, end * row

    @property
    def lines(self) -> Lines | None:
        """The part as the same columns of lines that follow each other; None if it is not so.

        A line is what has the same indexes in the dimensions before the last one that is sharded.  FSDP2
        and tensor parallelism, alone and together, leave such parts of matrices.
        """
        if not self.shape:
            return Lines(range(1), range(1), 1)
        spans = [_span(each) for each in self.indexes]
        sizes = [range(each) for each in self.shape]
        sharded = [n for n, (span, size) in enumerate(zip(spans, sizes, strict=True)) if span != size]
        last = max(sharded, default=0)
        first, own = spans[0], spans[last]
        if first is None or own is None or any(0 < each < last for each in sharded):
            return None
        inner = math.prod(self.shape[last + 1 :])
        if last == 0:
            return Lines(own, range(inner), inner)
        outer = math.prod(self.shape[1:last])
        rows = range(first.start * outer, first.stop * outer)
        return Lines(rows, range(own.start * inner, own.stop * inner), self.shape[last] * inner)

    def numbers(self, start: int, stop: int) -> Tensor:
        """Return the numbers of the local elements from `start` to `stop`, in the order of `local`: int64."""
        rest = torch.arange(start, stop)
        found = torch.zeros_like(rest)
        scale = 1
        for index, size in zip(reversed(self.indexes), reversed(self.shape), strict=True):
            found += index[rest % len(index)] * scale
            rest //= len(index)
            scale *= size
        return found

    def positions(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return which of `numbers` are held here, and where they are in the order of `local`.

        Args:
            numbers: of elements, in the row-major order of the whole: int64.

        Returns:
            Positions in `numbers`, and in `local`: int64, as long as each other.
        """
        if not self.local.numel():
            return torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64)
        rest = numbers.clone()
        is_here = torch.ones(numbers.shape, dtype=torch.bool)
        found = torch.zeros_like(numbers)
        scale = 1
        for index, size in zip(reversed(self.indexes), reversed(self.shape), strict=True):
            coordinate = rest % size
            rest //= size
            if len(index) == size:
                found += coordinate * scale
            else:
                ordered, order = index.sort()
                at = torch.searchsorted(ordered, coordinate).clamp_(max=len(index) - 1)
                is_here &= ordered[at] == coordinate
                found += order[at] * scale
            scale *= len(index)
        chosen = is_here.nonzero().view(-1)
        return chosen, found[chosen]

    def of_whole(self, whole: Tensor) -> Tensor:
        """Return the elements of a whole tensor that are held here."""
        for dimension, index in enumerate(self.indexes):
            whole = whole.index_select(dimension, index)
        return whole


def _span(indexes: Tensor) -> range | None:
    """Return indexes that follow each other as a range; None for others."""
    if not len(indexes):
        return range(0)
    begin = int(indexes[0])
    found = range(begin, begin + len(indexes))
    return found if torch.equal(indexes, torch.arange(found.start, found.stop)) else None


def held_part(tensor: Tensor) -> HeldPart:
    """Return what this process holds of a DTensor, however it is placed: evenly or not, on any mesh.

    A tensor that is not sharded is one part, of which every process holds a copy.

    Raises:
        ValueError: if processes hold terms of a sum.
    """
    if not is_sharded(tensor):
        indexes = tuple(torch.arange(size) for size in tensor.shape)
        return HeldPart(dense(tensor.detach()), tuple(tensor.shape), indexes, place_of(tensor))
    return _part_of_mesh(tensor)  # type: ignore[arg-type]


def _part_of_mesh(tensor: DTensor) -> HeldPart:
    if any(each.is_partial() for each in tensor.placements):
        raise ValueError(f"it {PARTIAL}")
    local, shape, place = tensor.to_local().detach(), tuple(tensor.shape), place_of(tensor)
    if place is None:
        nothing = torch.empty(0, dtype=torch.int64)
        return HeldPart(local.new_empty([0] * tensor.ndim or [0]), shape, (nothing,) * tensor.ndim, None)
    indexes = tuple(_indexes(tensor, dimension) for dimension in range(tensor.ndim))
    return HeldPart(local, shape, indexes, place)


@torch.no_grad()
def fill_part(tensor: Tensor, blocks: Iterable[Tensor]) -> None:
    """Copy what is held here of elements, which come in flat blocks in row-major order, into a DTensor."""
    part = held_part(tensor)
    flat = torch.empty(part.local.numel(), dtype=part.local.dtype)
    start = 0
    for block in blocks:
        here, positions = part.positions(torch.arange(start, start + block.numel()))
        flat[positions] = block[here]
        start += block.numel()
    part.local.copy_(flat.view(part.local.shape))


def place_of(tensor: Tensor) -> Place | None:
    """Return which part of a tensor this process holds; None outside of its mesh."""
    if not is_sharded(tensor):
        return "whole", ()
    mesh, placements = tensor.device_mesh, tensor.placements  # type: ignore[attr-defined]
    at = mesh.get_coordinate()
    if at is None:
        return None
    copies = zip(at, placements, strict=True)
    division = sys.intern(f"{tuple(mesh.shape)} {placements}")  # one text for many tensors, also when pickled
    return division, tuple(one for one, each in copies if not each.is_replicate())


def lack_of_part(tensor: Tensor) -> str | None:
    """Return why what a process holds of a tensor that is not lazy cannot be read, as `lack_of_values`."""
    if not is_sharded(tensor):
        return lack_of_values(tensor)
    if any(each.is_partial() for each in tensor.placements):  # type: ignore[attr-defined]
        return PARTIAL
    return lack_of_values(tensor.to_local())  # type: ignore[attr-defined]


def _indexes(tensor: DTensor, dimension: int) -> Tensor:
    """Return the indexes of one dimension: torch's own placement of 0, 1, 2, … over the same mesh."""
    from torch.distributed.tensor import Replicate, distribute_tensor

    placements = [
        _along_first(each) if getattr(each, "dim", None) == dimension else Replicate()
        for each in tensor.placements
    ]
    line = torch.arange(tensor.shape[dimension])
    return distribute_tensor(line, tensor.device_mesh, placements, src_data_rank=None).to_local().cpu()


def _along_first(placement: Any) -> Any:
    """Return a placement that shards dimension 0 as `placement` does its own."""
    if hasattr(placement, "split_factor"):  # of FSDP2 over tensor parallel
        return type(placement)(0, split_factor=placement.split_factor)
    return type(placement)(0)
