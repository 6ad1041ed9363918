"""Replacing a regular file in one step: who opens it finds the old content or the new, never a part."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError
from paramtool.files.writing.destination import (
    already_there,
    check_space,
    destination,
    errors_about,
    lock,
    remove_leftovers,
    temporary_path,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

_UNSUPPORTED = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV}
_MOST_AT_ONCE = 2**30  # Linux writes at most 2^31 - 4096 bytes a call; macOS refuses more


class Replacement:
    """Write a new file beside `target` that takes its place when all is well.

    As a context manager it opens the temporary file, and at the end syncs it, puts it in place and
    syncs the folder; after an exception it is removed, and what was there is untouched.  The methods
    do the same one by one, for several files that appear together.

    A file already there keeps its mode, and its owner if that is allowed; a new one gets what the
    umask leaves.  Other hard links to the old file keep the old content.

    Args:
        target: the path asked for; a symbolic link is followed and stays.
        size: the length in bytes, when it is known: the disk is looked at for room.
        force: replace a file that is there.
    """

    def __init__(self, target: Path, *, size: int = 0, force: bool = False) -> None:
        self.target = target
        self.size = size
        self.force = force
        self.descriptor = -1
        self._path = target
        self._old: os.stat_result | None = None
        self._temporary: Path | None = None

    def open(self) -> None:
        """Check `target`, and create the temporary file, `size` bytes long.

        Raises:
            ParamtoolError: if `target` may not be written, or the disk is too full.
        """
        found = destination(self.target, force=self.force)
        self._path, self._old = found.path, found.old
        remove_leftovers(found.path)
        check_space(self.target, found.path.parent, self.size)
        try:
            with errors_about(self.target):
                # nobody may read the new content who may not read the old
                self._create(0o666 if found.old is None else 0o600)
                # Not posix_fallocate: it zeroes the pages of a memory disk on one thread, before the
                # first is written, and they are written once more.
                os.ftruncate(self.descriptor, self.size)
        except BaseException:
            self.discard()
            raise

    def check(self) -> None:
        """Refuse what `open` would refuse, and create nothing.

        Raises:
            ParamtoolError: if `target` may not be written, or the disk is too full.
        """
        found = destination(self.target, force=self.force)
        if not os.access(found.path.parent, os.W_OK | os.X_OK):
            raise ParamtoolError(f"cannot write {self.target}: {os.strerror(errno.EACCES)}")
        check_space(self.target, found.path.parent, self.size)

    def write_at(self, position: int, data: Buffer) -> None:
        """Write all of `data` at `position`, in any order and from any thread."""
        view = _as_bytes(data)
        with errors_about(self.target):
            while view.nbytes:
                written = os.pwrite(self.descriptor, view[:_MOST_AT_ONCE], position)
                if not written:
                    raise OSError(errno.EIO, "nothing was written")
                position += written
                view = view[written:]

    def sync(self) -> None:
        """Bring the content to the disk, with the mode that the file is to have."""
        with errors_about(self.target):
            if self._old is not None:
                with suppress(OSError):
                    os.fchown(self.descriptor, self._old.st_uid, self._old.st_gid)
                os.fchmod(self.descriptor, stat.S_IMODE(self._old.st_mode))
            os.fsync(self.descriptor)

    def place(self) -> None:
        """Put the file in the place of `target`, which may have changed since it was looked at."""
        if self._temporary is None:
            raise ValueError(f"{self.target} is not open")
        destination(self._path, force=self.force)
        with errors_about(self.target):
            if self.force:
                self._temporary.replace(self._path)
            else:
                self._appear(self._temporary)
        self.discard()

    def discard(self) -> None:
        """Close and remove the temporary file, if there still is one."""
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink()
            self._temporary = None
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.sync()
                self.place()
                sync_folder(self._path.parent)
        finally:
            self.discard()

    def _create(self, mode: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            self._temporary = temporary_path(self._path)
            self.descriptor = os.open(self._temporary, flags, mode)
            if lock(self.descriptor):
                return
            self.discard()

    def _appear(self, temporary: Path) -> None:
        try:
            # unlike a rename, a link refuses a file that has appeared since we looked
            os.link(temporary, self._path)
        except FileExistsError as error:
            raise already_there(self.target) from error
        except OSError:
            temporary.rename(self._path)  # a file system without hard links


def write_file(target: Path, data: Buffer, *, force: bool = False) -> None:
    """Write `data` to `target` in one step; see `Replacement`."""
    with Replacement(target, size=_as_bytes(data).nbytes, force=force) as file:
        file.write_at(0, data)


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk, if its file system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return  # a folder may be writable and not readable
    with errors_about(folder):
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        finally:
            os.close(descriptor)


def _as_bytes(data: Buffer) -> memoryview:
    view = memoryview(data)
    if not view.c_contiguous:
        raise ValueError("the data to write is not contiguous")
    if not view.nbytes:
        return memoryview(b"")  # shapes with a zero cannot be cast
    return view if view.ndim == view.itemsize == 1 else view.cast("B")
