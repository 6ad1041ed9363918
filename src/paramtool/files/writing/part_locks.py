"""The locks of a folder that several processes write: one for each part, and one for the folder itself.

They are the kernel's, which lets go of them however a process dies.  A lock file that has no name any more
means that the hidden folder was removed since.  Where a file system has no locks, two runs of one part
write the same bytes over each other.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from paramtool.files.writing.destination import lock
from paramtool.files.writing.part import Part

MUTEX = "lock"
LOCK = ".lock"
"""What the locks of parts end in."""

_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class PartLocks:
    """The locks that one part holds in the hidden folder."""

    def __init__(self, folder: Path, part: Part) -> None:
        self._folder = folder
        self._name = f"part-{part.number}-of-{part.count}{LOCK}"
        self._mutex = self._own = -1

    @property
    def are_open(self) -> bool:
        """Whether the hidden folder was joined."""
        return self._mutex >= 0

    def open(self) -> None:
        """Open the lock of the folder, to hold it by `alone`."""
        self._mutex = os.open(self._folder / MUTEX, _FLAGS | os.O_CREAT, 0o666)

    def take(self) -> bool:
        """Take the lock of this part, and return whether nobody else has it."""
        own = os.open(self._folder / self._name, _FLAGS | os.O_CREAT, 0o666)
        if _is_held(own):
            os.close(own)
            return False
        self._own = own
        return True

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the lock of the folder, and say whether it is still there."""
        try:
            yield lock(self._mutex)
        finally:
            with suppress(OSError):
                fcntl.flock(self._mutex, fcntl.LOCK_UN)

    def are_others_at_work(self, names: Iterable[str]) -> bool:
        """Return whether another process holds the lock of a part, or may: a disk without locks says nothing.

        Args:
            names: those of the files in the folder.
        """
        return any(map(self.is_of_others, names))

    def is_of_others(self, name: str) -> bool:
        """Return whether a file in the folder is the lock of a part that another process holds, or may."""
        is_own = self._own >= 0 and name == self._name
        return name.endswith(LOCK) and not is_own and self._is_held(name)

    def remove_own(self) -> None:
        """Let go of the lock of this part, and remove its file."""
        if self._own >= 0:
            with suppress(OSError):
                (self._folder / self._name).unlink()
            os.close(self._own)
            self._own = -1

    def let_go(self) -> None:
        """Let go of both locks."""
        for descriptor in (self._own, self._mutex):
            if descriptor >= 0:
                os.close(descriptor)
        self._mutex = self._own = -1

    def _is_held(self, name: str) -> bool:
        try:
            descriptor = os.open(self._folder / name, _FLAGS)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        try:
            return _is_held(descriptor, unknown=True)
        finally:
            os.close(descriptor)


def _is_held(descriptor: int, *, unknown: bool = False) -> bool:
    """Take a lock, and return whether another process has it; `unknown` where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return unknown
    return False
