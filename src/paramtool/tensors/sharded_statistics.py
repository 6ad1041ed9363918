"""Statistics of sharded tensors: each process measures what it holds, and two exchanges serve all tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.dtypes import dtype_of
from paramtool.elements.elements import CHUNK
from paramtool.elements.moments import Moments
from paramtool.elements.scratch import own_scratch
from paramtool.elements.statistics import BINS, chunk_summary, histogram, sample_step
from paramtool.elements.threads import run
from paramtool.tensors.arrays import array_of
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.held_parts import held_parts
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharding import HeldPart


def sharded_statistics(tensors: Mapping[str, Tensor], *, jobs: int = 1) -> dict[str, dict[str, Any]]:
    """Return the statistics of tensors by name, the same in every process; all of them call it.

    Each element counts once, however many processes hold a copy; a tensor that is not sharded counts as
    process 0 holds it.  Extremes, counts and the histogram are those that one process would give for the
    whole tensor; mean, std and norm are so up to the rounding of float64, since sums are merged in the
    order of the ranks.

    Args:
        tensors: the same names, shapes and dtypes in every process.
        jobs: threads; no number depends on them.

    Raises:
        ParamtoolError: in every process, if elements of one cannot be read.
    """
    parts = held_parts(tensors)
    moments = _merged(gathered(lambda: _moments({name: part.local for name, part in parts.counted()}, jobs)))
    ranges = {
        name: (found.low, found.high)
        for name, found in moments.items()
        if found.count and not tensors[name].is_complex()
    }
    counted = dict(parts.counted())
    counts = gathered(lambda: {name: _counts(counted.get(name), *ends) for name, ends in ranges.items()})
    return {name: _result(name, tensor, moments[name], counts) for name, tensor in tensors.items()}


def _moments(locals_: Mapping[str, Tensor], jobs: int) -> dict[str, Moments]:
    """Return the moments of local tensors by name; each thread takes the next chunk."""
    elements = TensorElements(locals_)
    found: dict[str, dict[int, Moments]] = {name: {} for name in locals_}

    def tasks() -> Iterator[tuple[str, int]]:
        for name, tensor in locals_.items():
            for start in range(0, max(1, tensor.numel()), CHUNK):
                yield name, start

    def work(task: tuple[str, int]) -> None:
        name, start = task
        found[name][start] = chunk_summary(elements, name, start).moments

    run(tasks(), work, jobs)
    return _merged([{name: each[start]} for name, each in found.items() for start in sorted(each)])


def _merged(parts: Iterable[Mapping[str, Moments]]) -> dict[str, Moments]:
    """Return the moments by name, merged in the order of the parts."""
    found: dict[str, Moments] = {}
    for part in parts:
        for name, moments in part.items():
            found.setdefault(name, Moments()).merge(moments)
    return found


def _counts(part: HeldPart | None, low: float, high: float) -> list[int]:
    """Return the histogram of those of the sampled elements of the whole that are held here."""
    if part is None or not part.local.numel():
        return [0] * BINS
    dtype = dtype_of(dtype_name(part.local), "a tensor")
    count = math.prod(part.shape) * dtype.values
    values = torch.arange(0, count, sample_step(count))
    here, positions = part.positions(values // dtype.values)
    block, _ = array_of(part.local.reshape(-1)[positions.to(part.local.device)])
    wide = dtype.wide(block, own_scratch())
    if dtype.values > 1:
        wide = wide.reshape(-1, dtype.values)[np.arange(len(here)), (values[here] % dtype.values).numpy()]
    with np.errstate(invalid="ignore"):  # a NaN that signals is a NaN
        sample = wide.astype(np.float64)
    return list(histogram(sample[np.isfinite(sample)], low, high))


def _result(
    name: str, tensor: Tensor, moments: Moments, counts: Sequence[Mapping[str, Sequence[int]]]
) -> dict[str, Any]:
    """Return the statistics of one tensor, with what is undefined as None; see `statistics_of`."""
    if tensor.is_complex():
        return {**moments.result(), **dict.fromkeys(("mean", "std", "min", "max", "histogram"))}
    if not moments.count:
        return {**moments.result(), "histogram": None}
    bins = tuple(map(sum, zip(*(each[name] for each in counts), strict=True)))
    return {**moments.result(), "histogram": bins}
