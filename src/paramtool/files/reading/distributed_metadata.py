"""Read the ``.metadata`` of a distributed checkpoint as data: names, shapes, dtypes and places of chunks.

Its classes are those of ``torch.distributed.checkpoint.metadata``, pickled with protocol 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES
from paramtool.files.reading.open_file import opened
from paramtool.files.reading.pickle_bytes import Span
from paramtool.files.reading.pickle_machine import read_pickle
from paramtool.files.reading.pickled_globals import DTYPES
from paramtool.files.reading.pickled_values import Name, Object, OtherKey
from paramtool.files.reading.safetensors_header import MOST_DIMENSIONS

LARGEST = 1 << 28
"""Bytes of a ``.metadata``; a chunk has about 150."""

MOST_CHUNKS = 1 << 20
_DEEPEST = 64
_MODULE = "torch.distributed."


@dataclass(frozen=True)
class Chunk:
    """One box of a tensor, or one object: `length` bytes of `file` from `position` on.

    Attributes:
        offsets: the index of its first element in the tensor.
        shape: its sizes.
        missing: why it cannot be read; None if it can.
    """

    offsets: tuple[int, ...]
    shape: tuple[int, ...]
    file: str
    position: int
    length: int
    missing: str | None = None


@dataclass(frozen=True)
class Entry:
    """One tensor or object of the checkpoint.

    Attributes:
        name: its flat name.
        path: the keys of the nested dicts that led to it.
        dtype: torch's name; empty for an object.
        shape: sizes; empty for an object.
        chunks: where it is.
    """

    name: str
    path: tuple[str, ...]
    dtype: str = ""
    shape: tuple[int, ...] = ()
    chunks: tuple[Chunk, ...] = field(default=())

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor."""
        return self.dtype != ""

    @property
    def nbytes(self) -> int:
        """The bytes of its elements; those that an object takes in its file."""
        if self.is_tensor:
            return math.prod(self.shape) * DTYPES.get(self.dtype, 0)
        return sum(each.length for each in self.chunks)


@dataclass(frozen=True)
class _Place:
    file: str
    position: int
    length: int
    missing: str | None


_Places = Mapping[tuple[str, tuple[int, ...] | None], _Place]


def read_metadata(path: Path) -> list[Entry]:
    """Return every tensor and object, in the order of the file.

    Raises:
        ParamtoolError: if it is not the metadata of a distributed checkpoint.
    """
    with opened(path) as file:
        size = file.size
        if size > LARGEST:
            raise ParamtoolError(f"{path} has {size:,} bytes; at most {LARGEST:,}")
        try:
            root, _ = read_pickle(Span(file, 0, size), dense=True)
            return list(_entries(root))
        except (ParamtoolError, ValueError, KeyError, TypeError, AttributeError) as error:
            what = error.message if isinstance(error, ParamtoolError) else str(error)
            raise ParamtoolError(f"{path} is not the metadata of a distributed checkpoint: {what}") from error


def _entries(root: Any) -> Iterator[Entry]:
    state = _state(root, "Metadata")
    described = _dict(state.get("state_dict_metadata"), "state_dict_metadata")
    if len(described) > MOST_NAMES:
        raise ValueError(f"it has more than {MOST_NAMES:,} entries")
    paths = state.get("planner_data")
    places = _places(state.get("storage_data"))
    for name, each in described.items():
        if not isinstance(name, str):
            raise ValueError("a name is not a text")
        path = _path(name, paths.get(name) if isinstance(paths, dict) else None)
        kind = each.words.rpartition(".")[2] if isinstance(each, Object) else ""
        if kind == "TensorStorageMetadata":
            yield _tensor(name, path, _state(each, kind), places)
        elif kind == "BytesStorageMetadata":
            place = places.get((name, None))
            chunks = () if place is None else (_chunk((), (), place),)
            yield Entry(name, path, chunks=chunks)
        else:
            raise ValueError(f"'{shorten(name)}' is of an unknown kind")


def _tensor(name: str, path: tuple[str, ...], state: Mapping[Any, Any], places: _Places) -> Entry:
    shape = _sizes(state.get("size"))
    properties = _state(state.get("properties"), "TensorProperties", tuple)
    dtype = properties[0] if properties else None
    if not isinstance(dtype, Name) or not dtype.words.startswith("torch."):
        raise ValueError(f"'{shorten(name)}' has no dtype")
    boxes = state.get("chunks")
    if not isinstance(boxes, list):
        raise ValueError(f"'{shorten(name)}' has no chunks")
    chunks = []
    for each in boxes:
        box = _state(each, "ChunkStorageMetadata")
        offsets, sizes = _sizes(box.get("offsets")), _sizes(box.get("sizes"))
        place = places.get((name, offsets)) or places.get((name, None))
        if place is None and 0 not in sizes:
            raise ValueError(f"'{shorten(name)}' has a chunk without a place")
        if place is not None:
            chunks.append(_chunk(offsets, sizes, place))
    return Entry(name, path, dtype.words.removeprefix("torch."), shape, tuple(chunks))


def _places(storage: Any) -> _Places:
    """Return where each chunk is, by the name and the offsets; those of an object are None."""
    found: dict[tuple[str, tuple[int, ...] | None], _Place] = {}
    items = _dict(storage, "storage_data")
    if len(items) > MOST_CHUNKS:
        raise ValueError(f"it has more than {MOST_CHUNKS:,} chunks")
    taken: dict[str, list[tuple[int, int]]] = {}
    for key, info in items.items():
        index = _state(key.value if isinstance(key, OtherKey) else key, "MetadataIndex")
        place = _place(_state(info, "_StorageInfo"))
        offset = index.get("offset")
        name = index.get("fqn")
        if not isinstance(name, str):
            raise ValueError("a chunk has no name")
        found[name, None if offset is None else _sizes(offset)] = place
        taken.setdefault(place.file, []).append((place.position, place.position + place.length))
    for file, ranges in taken.items():
        ranges.sort()
        if any(end > begin for (_, end), (begin, _) in pairwise(ranges)):
            raise ValueError(f"two chunks overlap in {shorten(file)}")
    return found


def _place(state: Mapping[Any, Any]) -> _Place:
    file, position, length = (state.get(each) for each in ("relative_path", "offset", "length"))
    if isinstance(file, Object) and file.arguments and all(isinstance(each, str) for each in file.arguments):
        file = "/".join(file.arguments)  # a pathlib.Path
    if not isinstance(file, str) or not _is_size(position) or not _is_size(length):
        raise ValueError("a chunk has no place")
    changed = state.get("transform_descriptors")
    what = shorten(", ".join(map(str, changed)), 40) if isinstance(changed, (list, tuple)) else ""
    return _Place(file, position, length, f"stored by the extension {what}" if what else None)


def _chunk(offsets: tuple[int, ...], sizes: tuple[int, ...], place: _Place) -> Chunk:
    return Chunk(offsets, sizes, place.file, place.position, place.length, place.missing)


def _path(name: str, keys: Any) -> tuple[str, ...]:
    """Return the keys that lead to an entry; without those, its name in one."""
    if (
        isinstance(keys, (tuple, list))
        and 0 < len(keys) <= _DEEPEST
        and all(isinstance(each, (str, int)) for each in keys)
    ):
        return tuple(str(each) for each in keys)
    return (name,)


def _state(value: Any, kind: str, form: type[Any] = dict) -> Any:
    if (
        not isinstance(value, Object)
        or value.words.rpartition(".")[2] != kind
        or not value.words.startswith(_MODULE)
    ):
        raise ValueError(f"it lacks a {kind}")
    if not isinstance(value.state, form):
        raise ValueError(f"its {kind} is empty")
    return value.state


def _dict(value: Any, what: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"its {what} is not a dict")
    return value


def _sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > MOST_DIMENSIONS or not all(map(_is_size, value)):
        raise ValueError("it has a shape that no tensor has")
    if math.prod(max(each, 1) for each in value) >= 2**59:
        raise ValueError("a shape in it is too large for any memory")
    return value


def _is_size(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 2**63
