"""A folder of shards that several processes write, each its own files, and that appears whole.

What a part has written waits in a hidden folder inside, beside the plan that all parts share.  Every part
puts its files there, and then looks whether all are there; the one that finds them so moves them out, the
index last.  So no part waits for another, and one that failed is run again by itself.

``plan.json`` becomes ``placing.json`` before the first file is moved: from then on the files outside are of
this run too, and the next part goes on with the move if the process that began it was killed.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.reading.open_file import opened
from paramtool.files.safetensors_format import Entry
from paramtool.files.shards import INDEX, PARTS, WHOLE, is_ours
from paramtool.files.writing.destination import errors_about, remove_dead
from paramtool.files.writing.part import Part
from paramtool.files.writing.part_locks import LOCK, MUTEX, PartLocks
from paramtool.files.writing.replacement import Replacement, sync_folder, write_file
from paramtool.files.writing.shard_folder import ShardFolder
from paramtool.files.writing.staged_file import StagedFile

_PLAN, _PLACING = "plan.json", "placing.json"
_DIGESTS = ("tensors", "values")
_LARGEST_PLAN = 1 << 26


class PartFolder(ShardFolder):
    """The folder as one part sees it.

    Args:
        path: the folder; created if missing, in a folder that exists.
        part: which part this is, and the facts that it has in common with the others; without facts,
            `check` does not compare them, and `open` must not be called.
        shards: the entries of every file by its name.
        is_whole: says whether the file at a path is a file of these entries.
        force: replace weights that are there.
    """

    def __init__(
        self,
        path: Path,
        part: Part,
        shards: Mapping[str, Sequence[Entry]],
        is_whole: Callable[[Path, Sequence[Entry]], bool],
        *,
        force: bool = False,
    ) -> None:
        super().__init__(path, force=force)
        self._part = part
        self._shards = shards
        self._is_whole = is_whole
        self._staging = path / PARTS
        self._locks = PartLocks(self._staging, part)
        self._is_idle = not part.own(shards)

    def place_of(self, name: str) -> Path:
        """Return where the file is written before it is moved."""
        return self._staging / name

    def check(self) -> None:
        """Refuse what stands in the way, and create nothing.

        Raises:
            ParamtoolError: as `ShardFolder.check` does, or if the hidden folder holds files of another run.
        """
        self._check_place()
        state, plan = self._known()
        is_same = plan is not None and (plan == self._part.facts or not self._part.facts)
        if plan is not None and not is_same and self._is_in_use():
            raise self._of_another_run(plan)
        if not self._is_idle and (state != _PLACING or not is_same):
            self._check_weights()

    def open(self) -> None:
        """Create the folder and the hidden one, or join those who did.

        Raises:
            ParamtoolError: as `check` does, or if this part is being written already.
        """
        if self._is_idle:
            self._check_place()
            return
        with errors_about(self.path):
            while not self._join():
                self._locks.let_go()

    def place(self, files: Sequence[Replacement], index: bytes | None) -> None:  # type: ignore[override]
        """Put the synced `files` beside those of other parts, and all in place if none is missing."""
        if self._is_idle:
            self.missing = self._not_placed(index)
            return
        with errors_about(self.path), self._locks.alone() as is_there:
            if not is_there:
                self._check_placed(index)
                return
            is_placing = self._known()[0] == _PLACING
            folders = (self._staging, self.path) if is_placing else (self._staging,)
            for file in files:
                if not (is_placing and self._holds_shard(file.target.name, *folders)):
                    file.place()
            sync_folder(self._staging)
            self.missing = tuple(name for name in self._shards if not self._holds_shard(name, *folders))
            if not self.missing:
                self._place_all(index, is_placing)

    def discard(self) -> None:
        """Let go of the locks, and remove what `open` created if nothing is in it."""
        if self._locks.are_open:
            with suppress(OSError, ParamtoolError):
                if not self._leave():  # it was removed, and may have come again
                    self._locks.let_go()
                    self._locks.open()
                    self._leave()
        self._locks.let_go()
        if not self._is_idle:
            with suppress(OSError):
                self._staging.rmdir()
        super().discard()

    def _leave(self) -> bool:
        """Remove what nobody needs any more, and return whether the lock of the folder was still there."""
        with self._locks.alone() as is_there:
            self._locks.remove_own()
            if is_there and not self._is_in_use():
                self._clear()
            return is_there

    def _join(self) -> bool:
        """Take the lock of this part and agree on the plan; False if the hidden folder was just removed."""
        self._check_place()
        try:
            if not self.path.is_dir():
                self.path.mkdir(exist_ok=True)
                self._created = True
            self._staging.mkdir(exist_ok=True)
            self._locks.open()
            with self._locks.alone() as is_there:
                if is_there:
                    self._agree()
                return is_there
        except (FileNotFoundError, FileExistsError):  # FileExistsError: it was there, and was removed
            return False

    def _check_place(self) -> None:
        super()._check_place()
        if os.path.lexists(self._staging) and not self._staging.is_dir():
            raise ParamtoolError(f"cannot write {self.path}: {self._staging} is not a folder")

    def _agree(self) -> None:
        if not self._locks.take():
            message = f"part {self._part} is being written by another process"
            raise ParamtoolError(f"cannot write {self.path}: {message}")
        self.check()
        if self._known()[1] != self._part.facts:
            write_file(self._staging / _PLAN, json.dumps(self._part.facts, indent=2).encode(), force=True)

    def _place_all(self, index: bytes | None, is_placing: bool) -> None:
        if not is_placing:
            self._check_weights()
            (self._staging / _PLAN).replace(self._staging / _PLACING)
            sync_folder(self._staging)
        staged = [StagedFile(self._staging / name, self.path / name, self.force) for name in self._shards]
        if any(each.is_there for each in staged) or not self._has_index(index):
            super().place(staged, index)
        else:  # a process was killed after it had moved all
            remove_dead(self.path)
            self._retire(self._ours() - set(self._shards) - {INDEX})
        self._clear()

    def _not_placed(self, index: bytes | None) -> tuple[str, ...]:
        """Return the files that are nowhere yet, or what a reader looks for if that alone is not in place."""
        absent = tuple(name for name in self._shards if not self._holds_shard(name, self._staging, self.path))
        if absent:
            return absent
        if all(self._holds_shard(name, self.path) for name in self._shards) and self._has_index(index):
            return ()
        return (WHOLE if index is None else INDEX,)

    def _take_back(self, names: set[str]) -> None:
        """Leave the files that were moved: the next part goes on with the move."""

    def _check_placed(self, index: bytes | None) -> None:
        """Raise unless another process, which had the same plan, has put everything in place."""
        if all(self._holds_shard(name, self.path) for name in self._shards) and self._has_index(index):
            return
        message = f"cannot write {self.path}: {self._staging} was removed meanwhile"
        raise ParamtoolError(message, hint=f"run part {self._part} again")

    def _has_index(self, index: bytes | None) -> bool:
        return index is None or self._holds(index)

    def _holds_shard(self, name: str, *folders: Path) -> bool:
        return any(self._is_whole(folder / name, self._shards[name]) for folder in folders)

    def _known(self) -> tuple[str, object]:
        """Return the name of the plan that is there, and what it says; None where it says nothing."""
        for name in (_PLACING, _PLAN):
            with suppress(ParamtoolError, ValueError, RecursionError), opened(self._staging / name) as file:
                return name, json.loads(file.read(0, min(file.size, _LARGEST_PLAN)))
        return _PLAN, None

    def _is_in_use(self) -> bool:
        """Return whether files wait in the hidden folder, are being moved, or another part is at work."""
        names = self._staged_names()
        return _PLACING in names or any(map(is_ours, names)) or self._locks.are_others_at_work(names)

    def _of_another_run(self, plan: object) -> ParamtoolError:
        old, new = plan if isinstance(plan, Mapping) else {}, self._part.facts
        ordered = (*(key for key in new if key not in _DIGESTS), *_DIGESTS)
        odd = next((key for key in ordered if old.get(key) != new.get(key)), "plan")
        is_short = odd not in _DIGESTS and isinstance(old.get(odd), (int, str))
        how = f"{odd} {old[odd]}, not {new[odd]}" if is_short else f"other {odd}"
        message = f"{self.path} holds parts of another run: {how}"
        return ParamtoolError(message, hint=f"to start again: rm -r {shlex.quote(str(self._staging))}")

    def _staged_names(self) -> list[str]:
        try:
            with os.scandir(self._staging) as found:
                return sorted(each.name for each in found)
        except FileNotFoundError:
            return []

    def _clear(self) -> None:
        """Remove the hidden folder, but for what another process still writes there and will remove."""
        remove_dead(self._staging)
        known = [each for each in self._staged_names() if each.endswith(LOCK) or is_ours(each)]
        done = [each for each in known if not self._locks.is_of_others(each)]
        for name in (*done, _PLAN, _PLACING, MUTEX):
            with suppress(FileNotFoundError):
                (self._staging / name).unlink()
        with suppress(OSError):
            self._staging.rmdir()
