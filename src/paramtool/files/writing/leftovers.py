"""Temporary files: how they are named and locked, and how those of killed runs are told and removed.

A writer holds an exclusive ``flock`` on its temporary file as long as it lives, and the kernel lets
go of it when the process dies, however it dies.  So a temporary file that can be locked has no
writer, which a process number in its name would not show: numbers come again, and mean nothing to
another container on the same disk.  Where a file system has no locks, leftovers stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

SUFFIX = ".part"


def temporary_path(path: Path) -> Path:
    """Return an unpredictable, hidden name beside `path`, short enough whatever `path` is called."""
    return path.with_name(f"{_prefix(path)}{secrets.token_hex(8)}{SUFFIX}")


def lock(descriptor: int) -> bool:
    """Mark the temporary file as ours, and say whether it still has a name.

    Between its creation and this call another run may have taken it for a leftover.
    """
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return os.fstat(descriptor).st_nlink > 0


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose writers are dead; what cannot be removed stays."""
    prefix = _prefix(path)
    with suppress(OSError), os.scandir(path.parent) as found:
        for each in found:
            if each.name.startswith(prefix) and each.name.endswith(SUFFIX):
                with suppress(OSError):
                    _remove_if_dead(Path(each.path))


def _remove_if_dead(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(descriptor)


def _prefix(path: Path) -> str:
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return f".paramtool-{digest[:16]}-"
