"""Reading elements back: checks that the disk holds what was written, and gives its SHA-256."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from paramtool.files.writing.joined_checksums import joined

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

    def of_tensor(self, name: str) -> int:
        """Return the CRC-32 of all bytes of a tensor that was written completely."""
        found = 0
        for piece in sorted(self._pieces.get(name, ())):
            found = joined(found, piece.checksum, piece.size)
        return found

    def digests(
        self, places: Iterable[tuple[str, int, int]], jobs: int, *, sha256: bool = True
    ) -> dict[str, str]:
        """Return the SHA-256 of every tensor as it is on the disk, in hexadecimal digits.

        Args:
            places: the name, the open file, and where in it the tensor begins.
            jobs: threads.
            sha256: without, the bytes are only compared, and the digests are empty.

        Raises:
            ValueError: naming the first tensor whose bytes differ.
            OSError: if a file cannot be read.
        """
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            waiting = {
                name: pool.submit(self._digest, name, file, begin, sha256) for name, file, begin in places
            }
            return {name: each.result() for name, each in waiting.items()}

    def _digest(self, name: str, file: int, begin: int, sha256: bool) -> str:
        digest = hashlib.sha256() if sha256 else None
        take = digest.update if digest else _pass_over
        for piece in sorted(self._pieces.get(name, ())):
            found = _read(file, begin + piece.start, piece.size, take)
            if found != piece.checksum:
                raise ValueError(f"the bytes read back for '{name}' differ from those written")
        return digest.hexdigest() if digest else ""


def _pass_over(_: bytes) -> None:
    """Take bytes of which nothing else is to be known."""


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
