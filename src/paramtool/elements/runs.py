"""Moments of many small tensors at once, which lie one after the other in one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from paramtool.elements.dtypes import Array


def moments_of_runs(flat: Array, sizes: Sequence[int]) -> list[dict[str, Any]] | None:
    """Return mean, std, min and max of each run of float32 elements, as `Moments` does of one.

    The sums are in float64 and of the distance from the first element of each run.

    Args:
        flat: the elements of all runs.
        sizes: how many each run has, none 0.

    Returns:
        None if some element is not finite, so that each run must be looked at by itself.
    """
    counts = np.asarray(sizes)
    starts = np.cumsum(counts) - counts
    low, high = np.minimum.reduceat(flat, starts), np.maximum.reduceat(flat, starts)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        return None
    first = flat[starts].astype(np.float64)
    distance = flat - np.repeat(first, counts)
    total = np.add.reduceat(distance, starts)
    np.square(distance, out=distance)
    spread = np.maximum(np.add.reduceat(distance, starts) - total * total / counts, 0.0)
    mean = np.clip(first + total / counts, low, high)
    std = np.sqrt(spread / np.maximum(counts - 1, 1))
    columns = (each.tolist() for each in (mean, std, low + 0.0, high + 0.0))
    return [
        {"mean": each[0], "std": each[1] if size > 1 else None, "min": each[2], "max": each[3]}
        for each, size in zip(zip(*columns, strict=True), sizes, strict=True)
    ]
