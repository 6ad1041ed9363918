"""Reading elements back: checks that the disk holds what was written, and gives its SHA-256."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from paramtool.files.writing.fingerprint import PART, fingerprint
from paramtool.files.writing.joined_checksums import joined

if TYPE_CHECKING:
    from typing_extensions import Buffer

_AT_ONCE = PART

Place: TypeAlias = "tuple[str, int, int, int]"
"""The name of a tensor, the open file, and where in it the tensor begins and ends."""


class Piece(NamedTuple):
    """Bytes of a tensor that were written in one go."""

    start: int
    size: int
    checksum: int


class Checksums:
    """Remembers a checksum of every piece that is written, and looks for it when it is read back.

    Pieces come in any order and from any thread; memory grows by some bytes for each.

    Args:
        crc32: whether the checksums are CRC-32, of which `of_tensor` makes that of a tensor; else they are
            only compared, and quicker.
    """

    def __init__(self, *, crc32: bool = False) -> None:
        self._checksum = zlib.crc32 if crc32 else fingerprint
        self._pieces: dict[str, list[Piece]] = {}
        self._lock = Lock()

    def wrote(self, name: str, start: int, data: Buffer) -> None:
        """Remember what was written to `name` from its byte `start` on."""
        piece = Piece(start, memoryview(data).nbytes, self._checksum(data))
        with self._lock:
            self._pieces.setdefault(name, []).append(piece)

    def of_tensor(self, name: str) -> int:
        """Return the CRC-32 of all bytes of a tensor that was written completely, in `crc32` pieces."""
        found = 0
        for piece in sorted(self._pieces.get(name, ())):
            found = joined(found, piece.checksum, piece.size)
        return found

    def digests(self, places: Iterable[Place], jobs: int, *, sha256: bool = True) -> dict[str, str]:
        """Return the SHA-256 of every tensor as it is on the disk, in hexadecimal digits.

        Args:
            places: the name, the open file, and where in it the tensor begins and ends.
            jobs: threads.
            sha256: without, the bytes are only compared, and the digests are empty.

        Raises:
            ValueError: naming the first tensor whose bytes differ.
            OSError: if a file cannot be read.
        """
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            waiting = [pool.submit(self._digests, run, sha256) for run in _runs(places)]
            return {name: digest for each in waiting for name, digest in each.result()}

    def _digests(self, run: Sequence[Place], sha256: bool) -> list[tuple[str, str]]:
        """Return the names and digests of tensors: of one, or of small ones that are read together."""
        if len(run) == 1:
            name, file, begin, _ = run[0]
            return [(name, self._digest(name, file, begin, sha256))]
        _, file, first, _ = run[0]
        data = memoryview(bytearray(run[-1][3] - first))
        if _read_into(file, first, data) < data.nbytes:
            raise _changed(run[-1][0])
        return [
            (name, self._digest_of(name, data[begin - first : end - first], sha256))
            for name, _, begin, end in run
        ]

    def _digest_of(self, name: str, data: memoryview, sha256: bool) -> str:
        for piece in self._pieces.get(name, ()):
            _compare(name, self._checksum(data[piece.start : piece.start + piece.size]), piece)
        return hashlib.sha256(data).hexdigest() if sha256 else ""

    def _digest(self, name: str, file: int, begin: int, sha256: bool) -> str:
        digest = hashlib.sha256() if sha256 else None
        room = memoryview(bytearray(_AT_ONCE))
        for piece in sorted(self._pieces.get(name, ())):
            found = 0
            for start in range(piece.start, piece.start + piece.size, _AT_ONCE):
                wanted = room[: min(_AT_ONCE, piece.start + piece.size - start)]
                if _read_into(file, begin + start, wanted) < wanted.nbytes:
                    raise _changed(name)
                found = self._checksum(wanted, found)
                if digest:
                    digest.update(wanted)
            _compare(name, found, piece)
        return digest.hexdigest() if digest else ""


def _compare(name: str, found: int, piece: Piece) -> None:
    if found != piece.checksum:
        raise _changed(name)


def _changed(name: str) -> ValueError:
    return ValueError(f"the bytes read back for '{name}' differ from those written")


def _runs(places: Iterable[Place]) -> Iterator[list[Place]]:
    """Yield tensors that are read in one go: one, or small ones that lie one after the other."""
    run: list[Place] = []
    for each in places:
        _, file, _, end = each
        if run and (run[-1][1] != file or run[-1][3] != each[2] or end - run[0][2] > _AT_ONCE):
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _read_into(file: int, position: int, room: memoryview) -> int:
    """Fill `room` from an open file, and return how many bytes there were."""
    found = 0
    while found < room.nbytes:
        count = os.preadv(file, [room[found:]], position + found)
        if not count:
            break
        found += count
    return found
