"""Statistics of a tensor in one pass over blocks, each block read once and kept in the cache."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from paramtool.tensors.one_thread import one_thread
from paramtool.tensors.scratch import Scratch

BLOCK = 1 << 17
"""Elements in a block: few enough for a core's cache, so many that calls of torch cost little.

They are worked on by the calling thread; waking others for each block costs more than it brings, and
very much more on a busy machine.
"""

BINS = 10
"""Bins of the histogram that is reported."""

SAMPLE = 1 << 17
"""Elements that the histogram counts at most, evenly spaced: each bin is right to 0.25 %."""


def statistics(tensor: Tensor) -> dict[str, Any]:
    """Return mean, std, min, max, norm, zeros, nan, inf and histogram of `tensor`.

    Sums are kept in float64.  Over the finite elements:

    - mean and std (Bessel's correction, as ``torch.std``), from sums shifted by 0 or the first element:
      Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", equation 1.5
    - norm, the Euclidean one
    - histogram, counts in 10 equal bins from min to max; of a tensor with more than 2^17 elements,
      the counts of every third, fifth, … so that no more are counted; an odd step meets all columns of
      a matrix whose rows are a power of 2 long

    A complex tensor has norm, zeros, nan and inf only.  What is undefined is None: everything of a
    tensor without finite elements, the std of a single one.
    """
    flat = tensor.detach().reshape(-1)
    with one_thread():
        return statistics_of([flat], flat.numel())


def statistics_of(blocks: Iterable[Tensor], count: int) -> dict[str, Any]:
    """Return what `statistics` does, of `count` elements that come in flat blocks.

    The numbers are the same to the last bit where each block but the last has a multiple of `BLOCK`
    elements.
    """
    moments, sample, zeros = Moments(), _Sample(count), None
    for block in blocks:
        if block.is_complex():
            zeros = (zeros or 0) + int((block == 0).sum())
            moments.take(_finite_parts(block, moments))
        else:
            moments.take(block)
            sample.take(block)
    result = moments.result()
    if zeros is not None:
        return {**result, **dict.fromkeys(("mean", "std", "min", "max", "histogram")), "zeros": zeros}
    if not moments.count:
        return {**result, "histogram": None}
    elements = sample.finite() if moments.nan or moments.inf else sample.elements()
    return {**result, "histogram": _histogram(elements, moments.low, moments.high)}


def _finite_parts(block: Tensor, moments: Moments) -> Tensor:
    """Return the real and imaginary parts of the finite elements; the others are counted."""
    nan, inf = block.isnan(), block.isinf()
    moments.nan += int(nan.sum())
    moments.inf += int((inf & ~nan).sum())
    return torch.view_as_real(block[~(nan | inf)].resolve_conj()).reshape(-1)


class _Sample:
    """Evenly spaced elements of those that come by, for the histogram."""

    def __init__(self, count: int) -> None:
        self._step = -(-count // SAMPLE) | 1
        self._seen = 0
        self._parts: list[Tensor] = []

    def take(self, flat: Tensor) -> None:
        first = -self._seen % self._step
        self._parts.append(flat[first :: self._step].double())
        self._seen += flat.numel()

    def elements(self) -> Tensor:
        """Return a float64 copy of all of them."""
        return torch.cat(self._parts)

    def finite(self) -> Tensor:
        sample = self.elements()
        return sample[sample.isfinite()]


class Moments:
    """What is known of the elements so far; parts that were taken apart can be merged."""

    def __init__(self) -> None:
        self.shift: float | None = None
        self.count = self.zeros = self.nan = self.inf = 0
        self.sum = self.squares = 0.0  # of element - shift
        self.low, self.high = math.inf, -math.inf
        self._room, self._wide = Scratch(), Scratch()

    def take(self, flat: Tensor) -> None:
        """Take the elements of a flat, real tensor, which is left as it is."""
        is_ready = flat.dtype in (torch.float32, torch.float64) and flat.device.type == "cpu"
        for source in torch.split(flat, BLOCK) if flat.numel() else ():
            wide = self._wide.take(source.numel(), torch.float64)
            ready = source if is_ready else wide.copy_(source)
            self._add(ready, wide, self._room.take(source.numel(), ready.dtype))

    def glance(self, flat: Tensor) -> None:
        """Take float32 elements by four quick reductions, for moments to about six digits.

        Where these would not do, for NaN, infinity or a mean far from zero, this is `take`.  The
        zeros are not counted.
        """
        low, high = (float(each) for each in torch.aminmax(flat))
        total, norm = float(flat.sum()), float(torch.linalg.vector_norm(flat))
        centred = 2 * total * total < flat.numel() * norm * norm
        if self.shift not in (None, 0.0) or not (math.isfinite(norm) and centred):
            self.take(flat)
            return
        self.shift = 0.0
        self.count += flat.numel()
        self.sum += total
        self.squares += norm * norm
        self.low, self.high = min(self.low, low), max(self.high, high)

    def merge(self, other: Moments) -> None:
        """Take what `other` knows: its sums are moved from its shift to this one's."""
        self.zeros += other.zeros
        self.nan += other.nan
        self.inf += other.inf
        if other.shift is None:
            return
        if self.shift is None:
            self.shift = other.shift
        moved = other.shift - self.shift
        self.squares += other.squares + 2 * moved * other.sum + other.count * moved * moved
        self.sum += other.sum + other.count * moved
        self.count += other.count
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def _add(self, source: Tensor, wide: Tensor, room: Tensor) -> None:
        """Take float32 or float64 elements; `wide`, float64, and `room`, of their dtype, are written to."""
        low, high = (float(each) for each in torch.aminmax(source))
        if not (math.isfinite(low) and math.isfinite(high)):
            source = self._finite(source)
            if not source.numel():
                return
            wide, room = wide[: source.numel()], room[: source.numel()]
            low, high = (float(each) for each in torch.aminmax(source))
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.count += source.numel()
        if low <= 0 <= high and float(torch.abs(source, out=room).min()) == 0:
            self.zeros += source.numel() - int(torch.count_nonzero(source))
        if self.shift is None:
            is_centred = low < 0 < high and 2 * abs(low + high) < high - low
            self.shift = 0.0 if is_centred else float(source[0])
        wide.copy_(source)
        if self.shift:
            wide.sub_(self.shift)
        self.sum += float(wide.sum())
        self.squares += float(torch.dot(wide, wide))

    def _finite(self, block: Tensor) -> Tensor:
        nan = int(block.isnan().sum())
        finite = block[block.isfinite()]
        self.nan += nan
        self.inf += block.numel() - nan - finite.numel()
        return finite

    def result(self) -> dict[str, Any]:
        """Return mean, std, min, max, norm and the counts."""
        counts = {"zeros": self.zeros, "nan": self.nan, "inf": self.inf}
        if self.shift is None:
            return {**dict.fromkeys(("mean", "std", "min", "max", "norm")), **counts}
        n, shift = self.count, self.shift
        mean = shift + self.sum / n
        variance = _clamped(self.squares - self.sum * self.sum / n) / (n - 1) if n > 1 else None
        square_sum = _clamped(self.squares + 2 * shift * self.sum + n * shift * shift)
        return {
            "mean": mean,
            "std": None if variance is None else math.sqrt(variance),
            "min": self.low + 0.0,  # not -0.0
            "max": self.high + 0.0,
            "norm": math.sqrt(square_sum),
            **counts,
        }


def _clamped(square: float) -> float:
    """Return a sum of squares that rounding made negative as 0, one that overflowed as infinity."""
    return math.inf if math.isnan(square) else max(0.0, square)


def _histogram(sample: Tensor, low: float, high: float) -> tuple[int, ...]:
    if low == high:  # one spike in the middle, as numpy.histogram has it
        return tuple(len(sample) if index == BINS // 2 else 0 for index in range(BINS))
    if not math.isfinite((high - low) * BINS):
        sample, low, high = sample / 64, low / 64, high / 64
    bins = sample.sub_(low).mul_(BINS).div_(high - low).clamp_(max=BINS - 1)  # as torch.histc, but quicker
    return tuple(torch.bincount(bins.to(torch.uint8), minlength=BINS).tolist())
