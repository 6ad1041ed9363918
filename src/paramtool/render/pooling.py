"""The moments of several tensors together, from the moments of each."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pooled_mean(counts: Sequence[int], means: Sequence[float | None]) -> float | None:
    """Return the mean of all elements; None where that of a part is not known."""
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means) or not sum(counts):
        return None
    return sum(count * mean for count, mean in zip(counts, known, strict=True)) / sum(counts)


def pooled_std(
    counts: Sequence[int], means: Sequence[float | None], stds: Sequence[float | None]
) -> float | None:
    """Return the std of all elements, with Bessel's correction; None where it is not known.

    The squares within the parts and those between their means add up.  A part of one element has no
    std and no squares.
    """
    mean, total = pooled_mean(counts, means), sum(counts)
    if mean is None or total < 2:
        return None
    squares = 0.0
    for count, part, std in zip(counts, means, stds, strict=True):
        if part is None or (std is None and count > 1):
            return None
        squares += (count - 1) * (std or 0.0) ** 2 + count * (part - mean) ** 2
    return math.sqrt(squares / (total - 1))


def pooled_min(values: Sequence[float | None]) -> float | None:
    """Return the smallest; None where one is not known."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def pooled_max(values: Sequence[float | None]) -> float | None:
    """Return the largest; None where one is not known."""
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None
