"""A folder of shards that is replaced as a whole: its readers find the old weights or the new.

What a reader follows is ``model.safetensors``, or else the index, so one of these comes last and what
it replaces is removed after it.  Where old and new shards have the same names, the old ones get a
second name first, and the old index is led there; then the new shards can take the names, and a
process killed at any moment leaves a folder in which every index names the shards it was written for.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from paramtool.errors import ParamtoolError
from paramtool.files.shards import INDEX, SHARD, WHOLE, is_ours
from paramtool.files.writing.destination import already_there, errors_about
from paramtool.files.writing.replacement import sync_folder, write_file

_ASIDE = ".paramtool-aside-"


class Placeable(Protocol):
    """A file that was written elsewhere on the same disk."""

    @property
    def target(self) -> Path:
        """Where it is to be."""

    def place(self) -> None:
        """Put it there."""


class ShardFolder:
    """A folder that weights are written to.

    Args:
        path: the folder; created if missing, in a folder that exists.
        force: replace weights that are there.

    Attributes:
        missing: the files that others have still to write after `place`.
    """

    missing: tuple[str, ...] = ()

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.path = path
        self.force = force
        self._created = False

    def check(self) -> None:
        """Refuse what stands in the way, and create nothing.

        Raises:
            ParamtoolError: if the folder cannot be created or read, or holds weights already.
        """
        self._check_place()
        self._check_weights()

    def place_of(self, name: str) -> Path:
        """Return the path that the file of this name is written to."""
        return self.path / name

    def _check_place(self) -> None:
        with errors_about(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise ParamtoolError(f"cannot write {self.path}: shards go into a folder, but it is not one")
            if not self.path.parent.exists():
                raise ParamtoolError(
                    f"cannot write {self.path}: the folder {self.path.parent} does not exist"
                )
            if not os.access(self.path if self.path.is_dir() else self.path.parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _check_weights(self) -> None:
        for name in sorted(self._ours()):
            if not self.force:
                raise already_there(self.path / name)
            if (self.path / name).is_symlink():
                # behind it may be a cache shared by other folders
                raise ParamtoolError(f"cannot write {self.path / name}: it is a symbolic link")

    def open(self) -> None:
        """Create the folder, or see that nothing in it stands in the way; raises as `check` does."""
        self.check()
        with errors_about(self.path):
            if not self.path.is_dir():
                self.path.mkdir()
                self._created = True

    def place(self, files: Sequence[Placeable], index: bytes | None) -> None:
        """Put the synced `files` and then the `index` in place, and remove older weights."""
        old = self._ours()
        new = {file.target.name for file in files}
        if INDEX in old and any(SHARD.fullmatch(name) for name in old & new):
            self._set_aside(old & new)
        retired = old - new - ({INDEX} if index is not None else set())
        try:
            for file in files:
                file.place()
            sync_folder(self.path)
            if index is not None:
                write_file(self.path / INDEX, index, force=self.force)
            self._retire(retired)
        except BaseException:
            if self._holds(index):
                self._retire(retired)  # the new weights are all there, and their readers are to get to them
            else:
                self._take_back(new - old - {WHOLE})
            raise

    def _take_back(self, names: set[str]) -> None:
        """Remove new files that were in place when it failed."""
        self._remove(names)

    def discard(self) -> None:
        """Remove the folder if `open` created it and nothing is in it."""
        if self._created:
            with suppress(OSError):
                self.path.rmdir()

    def _ours(self) -> set[str]:
        if not self.path.is_dir():
            return set()
        with errors_about(self.path):
            return {each.name for each in self.path.iterdir() if is_ours(each.name)}

    def _holds(self, index: bytes | None) -> bool:
        with suppress(OSError):
            return (self.path / INDEX).read_bytes() == index
        return False

    def _set_aside(self, names: Iterable[str]) -> None:
        """Give the shards `names` second names, and lead the old index to them."""
        prefix = f"{_ASIDE}{secrets.token_hex(4)}-"
        aside = {name: prefix + name for name in names if SHARD.fullmatch(name)}
        try:
            content = json.loads((self.path / INDEX).read_bytes())
            files = content["weight_map"]
            content["weight_map"] = {key: aside.get(name, name) for key, name in files.items()}
            for name, second in aside.items():
                os.link(self.path / name, self.path / second)
            sync_folder(self.path)
            write_file(self.path / INDEX, json.dumps(content).encode(), force=True)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ParamtoolError):
            # no hard links here, or no true index: rather no index for a moment than a mix
            with errors_about(self.path / INDEX):
                (self.path / INDEX).unlink()
            sync_folder(self.path)

    def _retire(self, names: Iterable[str]) -> None:
        """Remove older weights, and first of them what readers look for first."""
        self._remove(sorted(names, key=[WHOLE, INDEX].count, reverse=True))
        self._remove(each.name for each in self.path.glob(f"{_ASIDE}*"))
        sync_folder(self.path)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            with errors_about(self.path / name), suppress(FileNotFoundError):
                (self.path / name).unlink()
