"""How much work it is to read a checkpoint, whose views may say a few bytes any number of times."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from paramtool.elements.strided import Region
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.files.reading.pickled_globals import DTYPES

MOST_REPEATED = 1 << 32
"""Bytes that views may say over and over: seconds."""

TIMES = 16
"""More than these views may claim, if they repeat every byte at most so often."""

_READ = 1 << 14
"""Bytes that could be read in the time of one call to read."""


def refusal(checkpoint: Checkpoint) -> str | None:
    """Return an error for a checkpoint whose tensors together claim far more than its files hold."""
    views = [each for each in checkpoint.tensors if each.strides is not None or each.storage is not None]
    work = {each.name: _work(each) for each in views}
    held = _held(views)
    if sum(work.values()) <= max(MOST_REPEATED, TIMES * held):
        return None
    worst = max(views, key=lambda each: work[each.name])
    if work[worst.name] > max(MOST_REPEATED, TIMES * _extent(worst)):
        span, count = (size // DTYPES[worst.dtype] for size in (_extent(worst), worst.nbytes))
        return (
            f"'{worst.name}' in {worst.path} repeats {span:,} stored elements as {count:,}, too many to read"
        )
    return f"the views in {checkpoint.name} repeat the same {held:,} bytes too often to read"


def _work(stored: Stored) -> int:
    """Return the bytes that could be read in the time that it takes to read the tensor."""
    if stored.strides is None or not stored.nbytes:
        return stored.nbytes
    return stored.nbytes + _READ * Region(0, stored.shape, stored.strides).reads


def _extent(stored: Stored) -> int:
    """Return the bytes from the first to the last element."""
    if stored.strides is None or not stored.nbytes:
        return stored.nbytes
    return Region(0, stored.shape, stored.strides).span * DTYPES[stored.dtype]


def _held(views: Iterable[Stored]) -> int:
    """Return the bytes that the views lie in, together."""
    ranges: dict[Hashable, tuple[int, int]] = {}
    for each in views:
        key = (each.path, each.name if each.storage is None else (each.storage,))
        begin, end = ranges.get(key, (each.start, each.start))
        ranges[key] = (min(begin, each.start), max(end, each.start + _extent(each)))
    return sum(end - begin for begin, end in ranges.values())
