"""A file at a URL, read by ranges; a few recent pieces are cached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.open_file import OpenFile
from paramtool.files.reading.sharded import is_plain

if TYPE_CHECKING:
    from paramtool.files.remote.address import Address
    from paramtool.files.remote.range_request import Range

PIECE = 1 << 17
"""Bytes per request for small reads: most headers, and the directory of an archive, fit in one."""

LARGEST = 1 << 23
"""Bytes per request for elements."""

_KEPT = 64


class RemoteFile(OpenFile):
    """A file at a URL: open from the start, and its own path.

    Readers find what they ask of a path: `name`, `suffix`, and its text for messages.
    """

    def __init__(self, address: Address) -> None:
        self.path = self
        self.address = address
        self._ask = _transport(address)
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()
        first = self._ask(address, 0, PIECE)
        self.size, self._version = first.size, first.version
        self._pieces[0] = first.data

    def __str__(self) -> str:
        return self.address.shown

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return self.address.shown.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without what it ends in."""
        return self.name.removesuffix(self.suffix)

    @property
    def suffix(self) -> str:
        """What the name ends in, with its dot."""
        _, dot, end = self.name.rpartition(".")
        return f"{dot}{end}" if dot else ""

    def beside(self, name: str) -> RemoteFile:
        """Return another file of the same folder.

        Raises:
            ParamtoolError: if `name`, which is not trusted, is not plain, or there is no such file.
        """
        if not is_plain(name) or any(each in name for each in "?#%") or not name.isprintable():
            raise ParamtoolError(f"{self} names the file '{shorten(name)}', which is not beside it")
        return RemoteFile(self.address.beside(name))

    def read_into(self, position: int, room: memoryview) -> None:
        """Fill `room` with the bytes from `position` on.

        Raises:
            ParamtoolError: if the file is too short or changed, or the server does not give them.
        """
        if position + room.nbytes > self.size:
            raise ParamtoolError(f"{self} ends too early; it has {self.size:,} bytes")
        room = room.cast("B") if room.nbytes else room
        while room.nbytes:
            count = self._fill(position, room)
            position += count
            room = room[count:]

    def _fill(self, position: int, room: memoryview) -> int:
        """Fill the beginning of `room`, and return how much of it."""
        number, begin = divmod(position, PIECE)
        if room.nbytes >= PIECE and number not in self._pieces:
            count = min(room.nbytes, LARGEST)
            room[:count] = self._fetched(position, count)
            return count
        piece = self._piece(number)[begin : begin + room.nbytes]
        room[: len(piece)] = piece
        return len(piece)

    def _piece(self, number: int) -> bytes:
        with self._lock:
            piece = self._pieces.get(number)
            if piece is None:
                start = number * PIECE
                piece = self._pieces[number] = self._fetched(start, min(PIECE, self.size - start))
                if len(self._pieces) > _KEPT:
                    self._pieces.popitem(last=False)
            return piece

    def _fetched(self, start: int, count: int) -> bytes:
        found = self._ask(self.address, start, count)
        if (found.size, found.version) != (self.size, self._version) or len(found.data) != count:
            raise ParamtoolError(f"{self} changed while it was read")
        return found.data


def _transport(address: Address) -> Callable[[Address, int, int], Range]:
    if address.url.startswith(("s3://", "gs://")):
        from paramtool.files.remote.object_store import read_range

        return read_range
    from paramtool.files.remote.range_request import request_range

    return request_range
