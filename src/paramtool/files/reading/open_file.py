"""An open file of a checkpoint: bytes at positions, which is all that a reader needs of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from paramtool.errors import ParamtoolError

if TYPE_CHECKING:
    from paramtool.files.remote.remote_file import RemoteFile

Location: TypeAlias = "Path | RemoteFile"
"""Where a file is: here, or at a URL that a person typed."""


class OpenFile:
    """A regular file that is open for reading.

    Attributes:
        path: its name in messages.
        size: its bytes when it was opened.
    """

    def __init__(self, path: Location, descriptor: int) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    def read_into(self, position: int, room: memoryview) -> None:
        """Fill `room` with the bytes from `position` on.

        Raises:
            ParamtoolError: if the file is too short or cannot be read.
        """
        while room.nbytes:
            try:
                count = os.preadv(self._descriptor, [room[: 1 << 30]], position)
            except OSError as error:
                raise ParamtoolError(f"cannot read {self.path}: {error.strerror}") from error
            if not count:
                raise ParamtoolError(f"{self.path} ends too early; it was cut off during reading")
            position += count
            room = room[count:]

    def read(self, position: int, size: int) -> bytes:
        """Return `size` bytes from `position` on; raises as `read_into` does."""
        room = bytearray(size)
        self.read_into(position, memoryview(room))
        return bytes(room)


@contextmanager
def opened(path: Location) -> Iterator[OpenFile]:
    """Open a file of a checkpoint.

    Raises:
        ParamtoolError: if it cannot be opened, or is a folder, a device or a pipe.
    """
    if not isinstance(path, Path):
        yield path
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise ParamtoolError(f"cannot read {path}: {reason}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ParamtoolError(f"cannot read {path}: it is not a regular file")
        yield OpenFile(path, descriptor)
    finally:
        os.close(descriptor)
