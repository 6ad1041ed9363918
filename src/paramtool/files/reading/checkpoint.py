"""A checkpoint: named tensors in files, whose elements are read piece by piece.  No torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, overload

from paramtool.errors import SeveralFiles, shorten
from paramtool.files.reading.open_file import Location
from paramtool.name_parts import below, is_below
from paramtool.quantities import byte_size
from paramtool.records.constructor import built_at_once, changed
from paramtool.records.contents import ContentRow

T = TypeVar("T")

MOST_NAMES = 1 << 18
"""Names of a checkpoint: 60 MB may describe a million empty tensors, and each costs time later on."""


@dataclass(frozen=True)
class Piece:
    """A box of a tensor whose elements are in several places.

    Attributes:
        offsets: the index of its first element in the tensor, for each dimension.
        shape: its sizes.
        path: the file that holds it.
        position: the byte of the file at which its first element begins.
        strides: steps in elements, where the elements do not follow each other in row-major order.
        archive: the bytes of an archive of torch.save that begins at `position` and holds the elements,
            which `paramtool.files.reading.archived_piece` finds; 0 where they begin there themselves.
    """

    offsets: tuple[int, ...]
    shape: tuple[int, ...]
    path: Location
    position: int
    strides: tuple[int, ...] | None = None
    archive: int = 0


@built_at_once
@dataclass(frozen=True)
class Stored:
    """One tensor of a checkpoint, and where its elements are.

    Attributes:
        name: as the checkpoint has it.
        dtype: torch's name, ``float32``.
        shape: sizes.
        nbytes: the bytes of its elements.
        path: the file that holds them.
        position: the byte of the file at which the first element begins.
        strides: steps in elements, where the elements do not follow each other in row-major order.
        storage: what two tensors have in common that may share memory once they are loaded; None for a
            tensor that has its storage for itself.
        start: the byte of the storage at which the first element begins.
        requires_grad: whether a pickled Parameter had it set; None if the file does not say.
        kind: ``parameter`` or ``buffer`` where the file says so, else ``stored``.
        persistent: whether a buffer is in the state_dict; None for what is not known to be a buffer.
        type: the class of the module that owns it; None if the file does not say.
        pieces: where its elements are, if they are in several places; `path` and `position` are then
            those of the first.
        missing: why its elements cannot be read, as ``on the meta device``; None if they can.
        is_array: whether it is an array of NumPy in a pickle, which ``load_state_dict`` refuses.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    path: Location
    position: int
    strides: tuple[int, ...] | None = None
    storage: Hashable = None
    start: int = 0
    requires_grad: bool | None = None
    kind: str = "stored"
    persistent: bool | None = None
    type: str | None = None
    pieces: tuple[Piece, ...] = ()
    missing: str | None = None
    is_array: bool = False

    @property
    def end(self) -> int:
        """The byte of the file after the last element, where the elements follow each other."""
        return self.position + self.nbytes


class AlikeTensors(Sequence[Stored]):
    """Tensors that differ from few examples in their names and positions alone.

    They are made when the first is asked for: names and shapes do not need them.

    Attributes:
        names: of the tensors.
        examples: what each is like; one object for all that are alike.
        positions: the byte of the file at which the first element of each begins.
    """

    def __init__(self, names: Sequence[str], examples: Sequence[Stored], positions: Sequence[int]) -> None:
        self.names = names
        self.examples = examples
        self.positions = positions
        self._made: tuple[Stored, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._all())

    @overload
    def __getitem__(self, at: int) -> Stored: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Stored, ...]: ...

    def __getitem__(self, at: int | slice) -> Stored | tuple[Stored, ...]:
        return self._all()[at]

    def _all(self) -> tuple[Stored, ...]:
        if self._made is None:
            rows = zip(self.examples, self.names, self.positions, strict=True)
            self._made = tuple(changed(each, name=name, position=position) for each, name, position in rows)
        return self._made


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors in files, opened without reading an element.

    Attributes:
        name: what it is called in messages and reports: the path that was given.
        tensors: in the order of the file, or of the model where the file keeps that.
        tied: names that stand for another of `tensors`, which they are mapped to.
        metadata: texts that the files carry.
        format: what the files are, for people: ``safetensors``, ``torch.save``, ``TorchScript``.
        modules: class names by the paths of modules, where the files say so.
        contents: what else the files hold, beside the tensors that are listed.
        notes: what there is to say about the files, one line each.
        versions: what ``state_dict._metadata`` says: the version of each module by its path.
        objects: keys of the state_dict whose values are not tensors, extra states for example.
    """

    name: str
    tensors: Sequence[Stored]
    tied: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    format: str = ""
    modules: Mapping[str, str] = field(default_factory=dict)
    contents: tuple[ContentRow, ...] = ()
    notes: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    objects: tuple[str, ...] = ()

    @property
    def by_name(self) -> dict[str, Stored]:
        """Return the tensors by every name, tied ones included."""
        own = {each.name: each for each in self.tensors}
        own.update({name: own[first] for name, first in self.tied.items()})
        return own

    def described(self) -> Iterable[tuple[str, Stored, str]]:
        """Return every name, what its tensor is like in all but name and position, and its first name."""
        if isinstance(self.tensors, AlikeTensors) and not self.tied:
            names = self.tensors.names
            return zip(names, self.tensors.examples, names, strict=True)
        return ((name, each, each.name) for name, each in self.by_name.items())

    def below(self, module: str) -> Checkpoint:
        """Return what begins with ``module.``, by the rest of its name."""
        start = f"{module}."
        found: dict[str, Stored] = {}
        first: dict[str, str] = {}
        tied: dict[str, str] = {}
        for name, stored in self.by_name.items():
            if not name.startswith(start):
                continue
            rest = name[len(start) :]
            if stored.name in first:
                tied[rest] = first[stored.name]
            else:
                first[stored.name] = rest
                found[rest] = replace(stored, name=rest)
        return replace(
            self, tensors=tuple(found.values()), tied=tied,
            modules=_inside(self.modules, module), versions=_inside(self.versions, module),
            objects=tuple(below(each, module) for each in self.objects if is_below(each, module)),
        )  # fmt: skip


def _inside(paths: Mapping[str, T], module: str) -> dict[str, T]:
    """Return what is said of a module and of those inside it, by their paths from there."""
    return {
        below(path, module): value
        for path, value in paths.items()
        if path == module or is_below(path, module)
    }


_MOST_SHOWN = 8


class SeveralCheckpoints(SeveralFiles):
    """Say that a folder has several checkpoints, none of which is the one that its readers would follow.

    Attributes:
        folder: where they are.
        candidates: one part for each: its file name, ``file``, and the bytes that it has on disk.
    """

    def __init__(self, folder: Path, candidates: Sequence[ContentRow]) -> None:
        shown = [f"{shorten(each.name)} ({byte_size(each.nbytes)})" for each in candidates[:_MOST_SHOWN]]
        more = len(candidates) - _MOST_SHOWN
        listed = ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
        paths = [str(folder / each.name) for each in candidates]
        super().__init__(f"{folder} has several checkpoints: {listed}", paths)
        self.folder = folder
        self.candidates = tuple(candidates)
