"""What the processes of a sharded model agree on before and after a fill: complaints and statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.distributed as dist

from paramtool.elements.elements import CHUNK
from paramtool.elements.statistics import Summary, chunk_summary, merged
from paramtool.errors import ParamtoolError
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.sharding import held_part


def agree(complaint: ParamtoolError | None) -> None:
    """Raise a complaint in every process if any process has one, before anything is written.

    Raises:
        ParamtoolError: its own complaint, or that of the first process that has one.
    """
    found: list[tuple[str, str | None] | None] = [None] * dist.get_world_size()
    dist.all_gather_object(found, None if complaint is None else (complaint.message, complaint.hint))
    if complaint is not None:
        raise complaint
    for rank, each in enumerate(found):
        if each is not None:
            raise ParamtoolError(f"process {rank}: {each[0]}", hint=each[1])


def shared_statistics(tensors: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the statistics of DTensors by name, the same in every process: one exchange for all.

    Each element counts once, however many processes hold a copy.  The sums of the processes are merged in
    the order of their ranks; the histograms are of evenly spaced elements of each part.
    """
    own = {name: _summaries(tensor) for name, tensor in tensors.items()}
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, own)
    found = {}
    for name in tensors:
        once: dict[tuple[int, ...], list[Summary]] = {}
        for one in everyone:
            place, summaries = one[name]
            once.setdefault(place, summaries)
        found[name] = merged([each for summaries in once.values() for each in summaries])
    return found


def _summaries(tensor: Any) -> tuple[tuple[int, ...], list[Summary]]:
    """Return what is known of the elements that are held here, and which part of the whole they are."""
    part = held_part(tensor)
    elements = TensorElements({"": part.local})
    starts = range(0, max(1, part.local.numel()), CHUNK)
    return part.place, [chunk_summary(elements, "", start) for start in starts]
