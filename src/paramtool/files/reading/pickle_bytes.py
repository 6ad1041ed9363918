"""The bytes of a pickle in a file, read a window at a time, since much else may follow it."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from paramtool.files.reading.open_file import OpenFile
from paramtool.files.reading.pickled_values import Broken, Bytes, EndsEarly, Object

_WINDOW = 1 << 18
_LONG = 1 << 16
"""Bytes of a text or of bytes that are kept; of longer ones only their size and place."""

_MOST_KEPT = 1 << 26
"""Bytes of all texts together that are kept; after these, only short ones."""

_SHORT = 64
_LONGEST_LINE = 1 << 16
_LONGEST_NUMBER = 1 << 8


class Span(NamedTuple):
    """The bytes of an open file from `start` to `end`."""

    file: OpenFile
    start: int
    end: int

    def read(self, position: int, size: int) -> bytes:
        """Return bytes from a place on, counted in the file."""
        return self.file.read(position, size)


class PickleBytes:
    """Takes bytes, numbers, lines and texts of a span one after the other.

    Attributes:
        window: bytes of the file that were read.
        at: the one of them that is next.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._base, self._end = span.start, span.end
        self.window, self.at = b"", 0
        self._kept = 0

    @property
    def position(self) -> int:
        """The byte of the file that is next."""
        return self._base + self.at

    def refill(self, count: int) -> None:
        """See that `count` bytes are in the window."""
        start = self.position
        size = min(max(count, _WINDOW), self._end - start)
        if size < count:
            raise EndsEarly
        self.window, self._base, self.at = self._span.read(start, size), start, 0

    def take(self, count: int) -> bytes:
        """Take `count` bytes."""
        if self.at + count > len(self.window):
            self.refill(count)
        taken = self.window[self.at : self.at + count]
        self.at += count
        return taken

    def skip(self, count: int) -> None:
        """Leave out `count` bytes."""
        if self.position + count > self._end:
            raise EndsEarly
        if self.at + count <= len(self.window):
            self.at += count
        else:
            self._base, self.window, self.at = self.position + count, b"", 0

    def number(self, form: struct.Struct) -> Any:
        """Take a number of that form."""
        if self.at + form.size > len(self.window):
            self.refill(form.size)
        at = self.at
        self.at = at + form.size
        return form.unpack_from(self.window, at)[0]

    def line(self) -> bytes:
        """Take what is before the next newline."""
        end = self.window.find(b"\n", self.at)
        if end < 0:
            self.refill(min(_LONGEST_LINE, self._end - self.position))
            end = self.window.find(b"\n", self.at)
        if end < 0 and self._end - self.position <= _LONGEST_LINE:
            raise EndsEarly
        if not 0 <= end - self.at <= _LONGEST_LINE:
            raise Broken
        line, self.at = self.window[self.at : end], end + 1
        return line

    def _keeps(self, count: int) -> bool:
        """Tell whether so many bytes more are kept."""
        self._kept += count if count <= _LONG else 0
        return count <= (_LONG if self._kept < _MOST_KEPT else _SHORT)

    def text(self, count: int) -> Any:
        """Take a text; what stands for a long one is an object."""
        if self._keeps(count):
            return self.take(count).decode("utf-8", "surrogatepass")
        self.skip(count)
        return Object("builtins.str", (count,))

    def bytes_(self, count: int) -> Bytes:
        """Take bytes; of long ones only their place."""
        position = self.position
        if self._keeps(count):
            found = Bytes(self.take(count))
        else:
            self.skip(count)
            found = Bytes()
        found.position, found.size = position, count
        return found

    def integer(self, count: int) -> Any:
        """Take an integer of `count` bytes, little-endian."""
        if count > _LONGEST_NUMBER:
            self.skip(count)
            return Object("builtins.int", (count,))
        return int.from_bytes(self.take(count), "little", signed=True)
