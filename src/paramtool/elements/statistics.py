"""Statistics of a tensor in one pass over blocks, each block read once and kept in the cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from paramtool.elements.dtypes import Array, Dtype
from paramtool.elements.elements import CHUNK, Elements
from paramtool.elements.moments import Moments
from paramtool.elements.scratch import own_scratch

BINS = 10
"""Bins of the histogram that is reported."""

SAMPLE = 1 << 17
"""Elements that the histogram counts at most, evenly spaced: each bin is right to 0.25 %."""


def statistics_of(elements: Elements, name: str) -> dict[str, Any]:
    """Return mean, std, min, max, norm, zeros, nan, inf and histogram of the tensor `name`.

    Sums are kept in float64.  Over the finite elements:

    - mean and std (Bessel's correction, as ``torch.std``), see `Moments`
    - norm, the Euclidean one
    - histogram, counts in 10 equal bins from min to max; of a tensor with more than 2^17 elements,
      the counts of every third, fifth, … so that no more are counted; an odd step meets all columns of
      a matrix whose rows are a power of 2 long

    A complex tensor has norm, zeros, nan and inf only.  What is undefined is None: everything of a
    tensor without finite elements, the std of a single one.

    Raises:
        ParamtoolError: if the elements cannot be read.
    """
    count = math.prod(elements.shape(name))
    parts = [chunk_summary(elements, name, start) for start in range(0, max(1, count), CHUNK)]
    return merged(parts)


class Summary:
    """What is known of one chunk of a tensor.

    Args:
        dtype: of the tensor.
        count: elements of the whole tensor.
        start: elements before the chunk.
    """

    def __init__(self, dtype: Dtype, count: int, start: int) -> None:
        self.moments = Moments()
        self.is_complex = dtype.kind == "complex"
        self._dtype = dtype
        self._step = sample_step(count * dtype.values)
        self._seen = start * dtype.values
        self._parts: list[Array] = []

    def take(self, block: Array) -> None:
        """Take the next block of the chunk."""
        with np.errstate(invalid="ignore"):  # a NaN that signals is a NaN
            if self.is_complex:
                self._take_complex(block)
            else:
                self._take_real(block)

    def sample(self) -> Array:
        """Return the elements that the histogram counts, finite or not, as float64."""
        return np.concatenate(self._parts) if self._parts else np.empty(0)

    def _take_real(self, block: Array) -> None:
        self.moments.take(block, self._dtype)
        first = -self._seen % self._step
        if self._dtype.values == 1:
            few = self._dtype.wide(block[first :: self._step], own_scratch())
        else:
            few = self._dtype.wide(block, own_scratch())[first :: self._step]
        self._parts.append(few.astype(np.float64))
        self._seen += block.size * self._dtype.values

    def _take_complex(self, block: Array) -> None:
        wide = self._dtype.wide(block, own_scratch())
        nan, inf = np.isnan(wide), np.isinf(wide)
        self.moments.nan += int(np.count_nonzero(nan))
        self.moments.inf += int(np.count_nonzero(inf & ~nan))
        finite = wide[~(nan | inf)]
        zeros = self.moments.zeros + finite.size - int(np.count_nonzero(finite))
        if finite.size:
            self.moments.take_wide(finite.view(finite.real.dtype))
        self.moments.zeros = zeros  # of elements, not of their parts


def chunk_summary(elements: Elements, name: str, start: int) -> Summary:
    """Return the summary of the chunk that begins at the element `start`.

    Raises:
        ParamtoolError: if the elements cannot be read.
    """
    summary = Summary(elements.dtype(name), math.prod(elements.shape(name)), start)
    for block in elements.blocks(name, start, start + CHUNK):
        summary.take(block)
    return summary


def sample_step(count: int) -> int:
    """Return how far apart the values are that the histogram counts, of `count`: odd."""
    return -(-count // SAMPLE) | 1


def merged(parts: list[Summary]) -> dict[str, Any]:
    """Return the statistics of a tensor from the summaries of its chunks, which are in order."""
    moments = parts[0].moments
    for part in parts[1:]:
        moments.merge(part.moments)
    result = moments.result()
    if parts[0].is_complex:
        return {**result, **dict.fromkeys(("mean", "std", "min", "max", "histogram"))}
    if not moments.count:
        return {**result, "histogram": None}
    sample = np.concatenate([part.sample() for part in parts])
    if moments.nan or moments.inf:
        sample = sample[np.isfinite(sample)]
    return {**result, "histogram": histogram(sample, moments.low, moments.high)}


def histogram(sample: NDArray[np.float64], low: float, high: float) -> tuple[int, ...]:
    """Return the counts of finite values in equal bins from `low` to `high`."""
    if low == high:  # one spike in the middle, as numpy.histogram has it
        return tuple(len(sample) if index == BINS // 2 else 0 for index in range(BINS))
    if not math.isfinite((high - low) * BINS):
        sample, low, high = sample / 64, low / 64, high / 64
    sample = (sample - low) * BINS / (high - low)  # as torch.histc, but quicker
    bins = np.minimum(sample, BINS - 1).astype(np.uint8)
    return tuple(np.bincount(bins, minlength=BINS).tolist())
