"""The part of a sharded tensor that this process holds: a DTensor of FSDP2 or tensor parallel."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor, whose elements several processes hold."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


@dataclass(frozen=True)
class HeldPart:
    """What this process holds of a sharded tensor.

    Attributes:
        local: its own elements.
        shape: the sizes of the whole.
        indexes: for each dimension the indexes of the whole that `local` has, in its order: int64.
        place: which part of the whole it is; processes with the same one hold copies.
    """

    local: Tensor
    shape: tuple[int, ...]
    indexes: tuple[Tensor, ...]
    place: tuple[int, ...]

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

    def of_whole(self, whole: Tensor) -> Tensor:
        """Return the elements of a whole tensor that are held here."""
        for dimension, index in enumerate(self.indexes):
            whole = whole.index_select(dimension, index)
        return whole


def held_part(tensor: DTensor) -> HeldPart:
    """Return what this process holds of a DTensor, however it is placed: evenly or not, on any mesh.

    Raises:
        ValueError: if processes hold terms of a sum.
    """
    if any(each.is_partial() for each in tensor.placements):
        raise ValueError("it is a partial sum on each process; redistribute it first")
    at = tensor.device_mesh.get_coordinate() or ()
    place = tuple(one for one, each in zip(at, tensor.placements, strict=False) if not each.is_replicate())
    indexes = tuple(_indexes(tensor, dimension) for dimension in range(tensor.ndim))
    return HeldPart(tensor.to_local().detach(), tuple(tensor.shape), indexes, place)


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
