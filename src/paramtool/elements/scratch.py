"""Arrays that are used again: the first touch of a large allocation costs more than to fill it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Scratch:
    """Room for one flat array of each purpose; each thread has its own."""

    def __init__(self) -> None:
        self._rooms: dict[str, NDArray[np.uint8]] = {}

    def take(self, purpose: str, count: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of unknown values, good until the next one is taken for that purpose."""
        size = count * np.dtype(dtype).itemsize
        room = self._rooms.get(purpose)
        if room is None or room.size < size:
            room = self._rooms[purpose] = np.empty(size, np.uint8)
        return room[:size].view(dtype)


class Rooms:
    """Buffers to read into, lent to whoever reads and used again by the next.

    Args:
        size: bytes of a buffer; those that nobody touches cost nothing.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    @contextmanager
    def lent(self, count: int, dtype: DTypeLike) -> Iterator[NDArray[Any]]:
        """Lend room for `count` elements."""
        with self._lock:
            room = self._free.pop() if self._free else np.empty(self._size, np.uint8)
        try:
            yield room[: count * np.dtype(dtype).itemsize].view(dtype)
        finally:
            with self._lock:
                self._free.append(room)


_own = threading.local()


def own_scratch() -> Scratch:
    """Return the scratch of the calling thread."""
    found: Scratch | None = getattr(_own, "scratch", None)
    if found is None:
        found = _own.scratch = Scratch()
    return found
