"""Writing weights to safetensors files piece by piece, without ever holding a whole tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError
from paramtool.files.reading.open_file import OpenFile, opened
from paramtool.files.safetensors_format import Entry, Layout
from paramtool.files.shards import INDEX, index, pack
from paramtool.files.writing.containers import Container, Safetensors
from paramtool.files.writing.destination import check_space, errors_about
from paramtool.files.writing.digests import Checksums
from paramtool.files.writing.part import Part
from paramtool.files.writing.part_folder import PartFolder
from paramtool.files.writing.replacement import Replacement, sync_folder
from paramtool.files.writing.shard_folder import ShardFolder

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

__all__ = ["Entry", "WeightsWriter"]


class Incomplete(Exception):
    """Raised if a tensor was not written completely: a bug in the program, not a user's error."""


class WeightsWriter:
    """Write tensors in pieces to a file, or a folder of them, that appears whole or not at all.

    Entering refuses all that can be refused, and takes the room on the disk.  A clean exit checks
    that every byte was written, syncs, reads the headers back, after `read_elements` every
    element too, and puts the files in place; an exception leaves what was there before.

    Example:
        >>> with WeightsWriter(Path("model.safetensors"), [Entry("bias", "float32", (2,))]) as writer:
        ...     writer.write("bias", 0, bytes(8))

    Args:
        target: the file, or with `max_shard_size` the folder, whose parent exists.
        entries: the tensors, in the order of the model.
        metadata: texts to store in every file; readers of transformers want ``{"format": "pt"}``.
        max_shard_size: the most bytes of tensors in one file; see `pack`.
        part: write only its own files of the folder; the one that comes last puts all in place.
        force: replace an existing file.
        container: the format; only safetensors files may be shards.

    Attributes:
        digests: the SHA-256 of each tensor by its name, as it is on the disk, after `read_elements`.
        files: the paths that are there in the end, the index last; of a part, those that it wrote.
        total_size: the bytes of all tensors that it writes.
        missing: the names of files that other parts have still to write.
    """

    def __init__(  # noqa: PLR0913 - all but two are what a person may type
        self,
        target: Path,
        entries: Sequence[Entry],
        *,
        metadata: Mapping[str, str] = {},
        max_shard_size: int | None = None,
        part: Part | None = None,
        force: bool = False,
        container: Container | None = None,
    ) -> None:
        self._container = container or Safetensors()
        self.target = target
        self.digests: dict[str, str] = {}
        self._checksums: Checksums | None = None
        self._readers, self._with_digests = 1, True
        self.missing: tuple[str, ...] = ()
        self._metadata = metadata
        if max_shard_size is None:
            shards = {"": entries}
        else:
            self._container.check(entries)  # all together: one name may not be in two files either
            shards = dict(pack(entries, max_shard_size))
        self._index = index(shards) if len(shards) > 1 else None
        self._folder = None if max_shard_size is None else self._folder_of(part, shards, force)
        self._shards = self._planned(part, shards, force)
        self.files = [target / each.name for each in self._shards]
        if self._index and part is None:
            self.files.append(target / INDEX)
        entries = [entry for shard in self._shards for entry in shard.entries]
        self.total_size = sum(each.nbytes for each in entries)
        self._of = {entry.name: shard for shard in self._shards for entry in shard.entries}
        self._left = {entry.name: entry.nbytes for entry in entries}
        self._lock = Lock()
        self._undo = ExitStack()
        self._needs_checksums = any(each.layout.needs_checksums for each in self._shards)
        if self._needs_checksums:
            self._checksums, self._with_digests = Checksums(crc32=True), False

    def _folder_of(
        self, part: Part | None, shards: Mapping[str, Sequence[Entry]], force: bool
    ) -> ShardFolder:
        if part is None:
            return ShardFolder(self.target, force=force)
        return PartFolder(self.target, part.of(shards, self._metadata), shards, self._is_whole, force=force)

    def _planned(self, part: Part | None, shards: Mapping[str, Sequence[Entry]], force: bool) -> list[_Shard]:
        """Return the files that are written here: all, or those of a part."""
        own = set(shards) if part is None else part.own(shards)
        found = []
        for name in (each for each in shards if each in own):
            planned = self._container.layout(shards[name], self._metadata)
            path = self._folder.place_of(name) if self._folder else self.target
            file = Replacement(path, size=planned.size, force=force or part is not None)
            found.append(_Shard(name, shards[name], planned, file))
        return found

    @property
    def places(self) -> dict[str, Path]:
        """The file of each tensor by its name."""
        return {name: self.target / shard.name for name, shard in self._of.items()}

    def writes(self, name: str) -> bool:
        """Return whether a tensor is in one of the files; those of other parts are not."""
        return name in self._of

    def read_elements(self, jobs: int, *, digests: bool = True) -> None:
        """Have every element read back and compared at the end, by `jobs` threads.

        Args:
            jobs: threads.
            digests: take the SHA-256 of each tensor as well.
        """
        self._checksums = Checksums(crc32=self._needs_checksums)
        self._readers, self._with_digests = jobs, digests

    def check(self) -> None:
        """Refuse what entering would refuse, and create nothing.

        Raises:
            ParamtoolError: if the files may not be written, or the disk is too full.
        """
        if self._folder is not None:
            self._folder.check()
            folder = self.target if self.target.is_dir() else self.target.parent
            check_space(self.target, folder, sum(each.layout.size for each in self._shards))
        else:
            self._shards[0].file.check()

    def write(self, name: str, start: int, data: Buffer) -> None:
        """Write the bytes `data` of the tensor `name` from its byte `start` on.

        Pieces come in any order and from any thread, each byte once.
        """
        shard = self._of[name]
        begin, end = shard.layout.places[name]
        size = memoryview(data).nbytes
        if start < 0 or begin + start + size > end:
            raise ValueError(f"bytes {start} to {start + size} are not in {name!r}, which has {end - begin}")
        shard.file.write_at(begin + start, data)
        if self._checksums is not None:
            self._checksums.wrote(name, start, data)
        with self._lock:
            self._left[name] -= size

    def are_neighbours(self, name: str, other: str) -> bool:
        """Return whether `other` lies right behind `name`, in the same file."""
        shard = self._of[name]
        return shard is self._of[other] and shard.layout.places[name][1] == shard.layout.places[other][0]

    def write_run(self, names: Sequence[str], data: Buffer) -> None:
        """Write whole tensors, each of which is the neighbour of the one before, at once."""
        view = memoryview(data).cast("B")
        shard = self._of[names[0]]
        places = [shard.layout.places[name] for name in names]
        start = places[0][0]
        if view.nbytes != places[-1][1] - start:
            raise ValueError(f"{len(names)} tensors have {places[-1][1] - start} bytes, got {view.nbytes}")
        shard.file.write_at(start, view)
        if self._checksums is not None:
            for name, (begin, end) in zip(names, places, strict=True):
                self._checksums.wrote(name, 0, view[begin - start : end - start])
        with self._lock:
            for name, (begin, end) in zip(names, places, strict=True):
                self._left[name] -= end - begin

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            if self._folder is not None:
                undo.callback(self._folder.discard)
                self._folder.open()
                if self._shards:
                    check_space(self.target, self.target, sum(each.layout.size for each in self._shards))
            for shard in self._shards:
                undo.callback(shard.file.discard)
                shard.file.open()
                shard.file.write_at(0, shard.layout.head)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        for name, left in self._left.items():
            if left:
                raise Incomplete(f"{name!r} was not written completely: {left:,} bytes are missing")
        for shard in self._shards:
            self._close(shard)
            shard.file.sync()
            shard.check(self._container)
        if self._checksums is not None:
            self.digests = self._digests(self._checksums)
        if self._folder is not None:
            self._folder.place([each.file for each in self._shards], self._index)
            self.missing = self._folder.missing
            if self._index and self._shards and not self.missing and self.target / INDEX not in self.files:
                self.files.append(self.target / INDEX)
        else:
            self._shards[0].file.place()
            sync_folder(self.target.resolve().parent)

    def _is_whole(self, path: Path, entries: Sequence[Entry]) -> bool:
        """Return whether the file at `path` says of its tensors what it should, and is as long."""
        planned = self._container.layout(entries, self._metadata)
        with suppress(ParamtoolError), opened(path) as file:
            return self._container.is_as_planned(file, entries, planned)
        return False

    def _close(self, shard: _Shard) -> None:
        """Write what has to wait for the data."""
        sums = self._checksums if shard.layout.needs_checksums else None
        known = {each.name: sums.of_tensor(each.name) for each in shard.entries} if sums else {}
        for position, data in shard.layout.closing(known):
            shard.file.write_at(position, data)

    def _digests(self, checksums: Checksums) -> dict[str, str]:
        places = [
            (name, shard.file.descriptor, *shard.layout.places[name]) for name, shard in self._of.items()
        ]
        with errors_about(self.target):
            try:
                return checksums.digests(places, self._readers, sha256=self._with_digests)
            except ValueError as error:
                raise ParamtoolError(f"cannot write {self.target}: {error}") from error


class _Shard:
    """One file of the set: what is in it and where."""

    def __init__(self, name: str, entries: Sequence[Entry], planned: Layout, file: Replacement) -> None:
        self.name = name
        self.entries = entries
        self.layout = planned
        self.file = file

    def check(self, container: Container) -> None:
        """Raise if the file does not contain what it should."""
        file = self.file
        written = OpenFile(file.target, file.descriptor)
        if not container.is_as_planned(written, self.entries, self.layout):
            raise ParamtoolError(f"cannot write {file.target}: the bytes read back differ from those written")
