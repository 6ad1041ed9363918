"""Reading elements back: checks that the disk holds what was written, and gives its SHA-256."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing_extensions import Buffer

_AT_ONCE = 1 << 20


class Piece(NamedTuple):
    """Bytes of a tensor that were written in one go."""

    start: int
    size: int
    checksum: int


class Checksums:
    """Remembers a checksum of every piece that is written, and looks for it when it is read back.

    Pieces come in any order and from any thread; memory grows by some bytes for each.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, list[Piece]] = {}
        self._lock = Lock()

    def wrote(self, name: str, start: int, data: Buffer) -> None:
        """Remember what was written to `name` from its byte `start` on."""
        piece = Piece(start, memoryview(data).nbytes, zlib.crc32(data))
        with self._lock:
            self._pieces.setdefault(name, []).append(piece)

    def digests(self, places: Iterable[tuple[str, int, int]], jobs: int) -> dict[str, str]:
        """Return the SHA-256 of every tensor as it is on the disk, in hexadecimal digits.

        Args:
            places: the name, the open file, and where in it the tensor begins.
            jobs: threads.

        Raises:
            ValueError: naming the first tensor whose bytes differ.
            OSError: if a file cannot be read.
        """
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            waiting = {name: pool.submit(self._digest, name, file, begin) for name, file, begin in places}
            return {name: each.result() for name, each in waiting.items()}

    def _digest(self, name: str, file: int, begin: int) -> str:
        digest = hashlib.sha256()
        for piece in sorted(self._pieces.get(name, ())):
            found = _read(file, begin + piece.start, piece.size, digest.update)
            if found != piece.checksum:
                raise ValueError(f"the bytes read back for '{name}' differ from those written")
        return digest.hexdigest()


def _read(file: int, position: int, size: int, take: Callable[[bytes], object]) -> int:
    """Hand the bytes of a file on, and return their checksum."""
    checksum, end = 0, position + size
    while position < end:
        found = os.pread(file, min(_AT_ONCE, end - position), position)
        if not found:
            break  # the checksum shows it
        checksum = zlib.crc32(found, checksum)
        take(found)
        position += len(found)
    return checksum
