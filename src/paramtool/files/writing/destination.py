"""Where a file is to appear: links followed, and everything refused that must not be replaced."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.writing.complaints import told_of
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
        ParamtoolError: where `target` exists and `force` is not given, where it is no regular
            file (never replaced), or where its folder is missing.
    """
    with told_of(target):
        old = _status(target)
        path = target.resolve()
        folder = _status(path.parent)
    if folder is None:
        raise ParamtoolError(f"cannot write {target}: the folder {path.parent} does not exist")
    if not stat.S_ISDIR(folder.st_mode):
        raise ParamtoolError(f"cannot write {target}: {path.parent} is no folder")
    if old is not None and not stat.S_ISREG(old.st_mode):
        kind = _KINDS.get(stat.S_IFMT(old.st_mode), "something else")
        raise ParamtoolError(f"cannot write {target}: it is {kind}, not a regular file")
    if old is not None and not force:
        raise already_there(target)
    return Destination(path, old)


def already_there(target: Path) -> ParamtoolError:
    """Return the error for a file that is there and is to stay."""
    return ParamtoolError(f"{target} already exists", hint="--force replaces it")


def check_space(target: Path, folder: Path, size: int) -> None:
    """Raise where the disk of `folder` has less than `size` bytes free."""
    with told_of(target):
        disk = shutil.disk_usage(folder)
    # some network and virtual file systems report nothing at all
    if disk.total and disk.free < size:
        raise ParamtoolError(
            f"cannot write {target}: it needs {byte_size(size)}, and {byte_size(disk.free)} are free"
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
