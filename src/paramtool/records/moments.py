"""Mean and standard deviation of several parts together, from those of each, in float64.

Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance": with n, the count, m, the mean,
and s, the std, of each part, N = Σn and M = Σn·m / N, the squares within the parts and those between their
means add up to (N - 1)·S² = Σ(n - 1)·s² + Σn·(m - M)².
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def pooled_mean(counts: Sequence[int], means: Sequence[float | None]) -> float | None:
    """Return the mean of all elements; None if there are none, or that of a part is not known.

    Args:
        counts: the elements of each part; what has none is passed over.
        means: of each part.
    """
    parts = [(count, mean) for count, mean in zip(counts, means, strict=True) if count]
    total = sum(count for count, _ in parts)
    known = [(count, mean) for count, mean in parts if mean is not None]
    if len(known) < len(parts) or not total:
        return None
    if not all(math.isfinite(count * mean) for count, mean in known):
        return sum(mean * (count / total) for count, mean in known)
    try:
        return math.fsum(count * mean for count, mean in known) / total
    except OverflowError:
        return sum(mean * (count / total) for count, mean in known)


def pooled_std(
    counts: Sequence[int], means: Sequence[float | None], stds: Sequence[float | None]
) -> float | None:
    """Return the std of all elements, with Bessel's correction; None if it is not known.

    Args:
        counts: the elements of each part; what has none is passed over.
        means: of each part.
        stds: of each part; a part of one element has none, and no squares.
    """
    mean, total = pooled_mean(counts, means), sum(counts)
    if mean is None or total < 2:
        return None
    roots: list[float] = []
    for count, part, std in zip(counts, means, stds, strict=True):
        if not count:
            continue
        if part is None or (std is None and count > 1):
            return None
        roots += [math.sqrt(count - 1) * (std or 0.0), math.sqrt(count) * (part - mean)]
    return math.hypot(*roots) / math.sqrt(total - 1)
