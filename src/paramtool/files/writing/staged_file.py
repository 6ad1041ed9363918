"""A finished file that waits in a hidden folder, on the same disk as its place."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from paramtool.files.writing.destination import already_there, errors_about


class StagedFile:
    """A file that is moved to its place.

    Args:
        path: where it is.
        target: where it is to be.
        force: replace a file that is there, and keep the mode of that.
    """

    def __init__(self, path: Path, target: Path, force: bool) -> None:
        self.path = path
        self.target = target
        self._force = force

    @property
    def is_there(self) -> bool:
        """Whether it is still to be moved."""
        return self.path.exists()

    def place(self) -> None:
        """Move it, unless that was done before.

        Raises:
            ParamtoolError: if that fails, or a file is there that is to stay.
        """
        if not self.is_there:
            return
        with errors_about(self.target):
            if self._force:
                with suppress(FileNotFoundError):
                    self.path.chmod(stat.S_IMODE(self.target.stat().st_mode))
                self.path.replace(self.target)
            else:
                self._appear()

    def _appear(self) -> None:
        try:
            os.link(self.path, self.target)  # unlike a rename, it refuses a file that has appeared
        except FileExistsError:
            if not self.path.samefile(self.target):  # else it was linked by a process that was killed then
                raise already_there(self.target) from None
        except OSError:
            self.path.rename(self.target)  # a file system without hard links
            return
        self.path.unlink()
