"""Where a file is to appear: links followed, and everything refused that must not be replaced.

What is written lies beside it in a temporary file until it is whole.  A writer holds an exclusive
``flock`` on that file as long as it lives, and the kernel lets go of it when the process dies, however it
dies.  So a temporary file that can be locked has no writer, which a process number in its name would not
show: numbers come again, and mean nothing to another container on the same disk.  Where a file system has
no locks, leftovers stay.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from paramtool.audience import worded
from paramtool.errors import ParamtoolError
from paramtool.quantities import byte_size

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True)
class Destination:
    """The path behind any symbolic links, and the regular file that is there now, if one is."""

    path: Path
    old: os.stat_result | None


def destination(target: Path, *, force: bool) -> Destination:
    """Return where writing to `target` ends up.

    A symbolic link is followed, a dangling one too: the file it names is replaced or created, and
    the link stays.

    Raises:
        ParamtoolError: if `target` exists and `force` is not given, it is not a regular
            file (never replaced), or its folder is missing.
    """
    with errors_about(target):
        old = _status(target)
        path = target.resolve()
        folder = _status(path.parent)
    if folder is None:
        raise ParamtoolError(f"cannot write {target}: the folder {path.parent} does not exist")
    if not stat.S_ISDIR(folder.st_mode):
        raise ParamtoolError(f"cannot write {target}: {path.parent} is not a folder")
    if old is not None and not stat.S_ISREG(old.st_mode):
        kind = _KINDS.get(stat.S_IFMT(old.st_mode), "something else")
        raise ParamtoolError(f"cannot write {target}: it is {kind}, not a regular file")
    if old is not None and not force:
        raise already_there(target)
    return Destination(path, old)


def already_there(target: Path) -> ParamtoolError:
    """Return the error for a file that is there and is to stay."""
    return ParamtoolError(
        f"{target} already exists", hint=worded("--force replaces it", "a Target with force=True replaces it")
    )


def check_space(target: Path, folder: Path, size: int) -> None:
    """Raise if the disk of `folder` has less than `size` bytes free."""
    with errors_about(target):
        disk = shutil.disk_usage(folder)
    # some network and virtual file systems report nothing at all
    if disk.total and disk.free < size:
        raise ParamtoolError(
            f"cannot write {target}: it needs {byte_size(size)}, but only {byte_size(disk.free)} are free"
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


SUFFIX = ".part"
_OURS = ".paramtool-"


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
    remove_dead(path.parent, _prefix(path))


def remove_dead(folder: Path, prefix: str = _OURS) -> None:
    """Remove temporary files of a folder whose names begin with `prefix`, and whose writers are dead."""
    with suppress(OSError), os.scandir(folder) as found:
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
    return f"{_OURS}{digest[:16]}-"


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the body into a `ParamtoolError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise ParamtoolError(f"cannot write {path}: {error.strerror or error}") from error
