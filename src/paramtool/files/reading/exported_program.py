"""Open what torch.export.save wrote (``.pt2``): its tensors are described in JSON, and lie in plain members.

The format: https://docs.pytorch.org/docs/stable/export/pt2_archive.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES, Checkpoint, Stored
from paramtool.files.reading.json_guard import MOST_CHARACTERS, parse_object
from paramtool.files.reading.open_file import Location, OpenFile, opened
from paramtool.files.reading.pickled_globals import DTYPES
from paramtool.files.reading.pickled_modules import Leaf
from paramtool.files.reading.pickled_values import PickledTensor, Room, Storage
from paramtool.files.reading.signatures import EXPORTED
from paramtool.files.reading.stored_tensors import Places, tied
from paramtool.files.reading.zip_directory import Member, read_member, read_members
from paramtool.records.contents import ContentRow

WEIGHTS = "_weights_config.json"
_CONSTANTS = "_constants_config.json"
_MOST_MODELS = 1000
_STRIDED = 7

_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz",
    33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
}  # fmt: skip
"""The numbers of ``torch._export.serde.schema.ScalarType``, and torch's names."""


def read_exported(path: Location, key: str | None, name: str) -> Checkpoint:
    """Return the parameters and buffers of the program in the archive at `path`.

    Args:
        path: the file.
        key: which of several programs; by default all of them, each under its name.
        name: what to call the checkpoint.

    Raises:
        ParamtoolError: if the archive is broken, has no program, or none called `key`.
    """
    with opened(path) as file:
        archive = _Archive(file, read_members(file))
        try:
            programs = _programs(archive, key)
            found = [each for program in programs for each in archive.tensors(program, len(programs) > 1)]
        except (ValueError, KeyError, TypeError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ParamtoolError(f"{path} is not a valid .pt2 archive: {what}") from error
    tensors, ties = tied([(PickledTensor(), each) for each in found])
    return Checkpoint(name, tensors, ties, format="torch.export", contents=tuple(archive.contents(programs)))


def _programs(archive: _Archive, key: str | None) -> Sequence[str]:
    start = f"{archive.root}data/weights/"
    names = [
        each.removeprefix(start).removesuffix(WEIGHTS)
        for each in archive.members
        if each.startswith(start) and each.endswith(WEIGHTS)
    ]
    if not names:
        raise ParamtoolError(
            f"{archive.file.path} holds no exported program, only what was compiled from one"
        )
    if len(names) > _MOST_MODELS:
        raise ValueError(f"it has more than {_MOST_MODELS:,} programs")
    if key is not None and key not in names:
        raise ParamtoolError(
            f"{archive.file.path} has no program '{shorten(key)}'", hint=f"it has {_listed(names)}"
        )
    return names if key is None else [key]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(shorten(each) for each in names[:5]) + more


@dataclass(frozen=True)
class _Archive:
    file: OpenFile
    members: Mapping[str, Member]

    @cached_property
    def root(self) -> str:
        """The folder that everything is in, with a slash; none in some archives."""
        marks = [each for each in self.members if each == EXPORTED or each.endswith(f"/{EXPORTED}")]
        return min(marks, key=len, default="").removesuffix(EXPORTED)

    def json(self, name: str) -> dict[str, Any]:
        """Return what stands in a member; raises ValueError for what is not an object."""
        member = self.members.get(name)
        if member is None:
            return {}
        if member.compressed or member.size > MOST_CHARACTERS:
            raise ValueError(f"{shorten(name)} is compressed or too large")
        try:
            return parse_object(read_member(self.file, member))
        except ValueError as error:
            raise ValueError(f"{shorten(name)}: {error}") from error

    def tensors(self, program: str, is_prefixed: bool) -> Iterator[Stored]:
        """Yield the state_dict of a program, then its buffers that are not in it, then other tensors."""
        prefix = f"{program}." if is_prefixed else ""
        for name, entry in self._config(f"data/weights/{program}{WEIGHTS}").items():
            kind = "parameter" if entry["is_param"] is True else "buffer"
            stored = self._stored(f"{prefix}{name}", entry, f"{self.root}data/weights/")
            yield replace(stored, kind=kind, persistent=True if kind == "buffer" else None)
        constants = self._config(f"data/constants/{program}{_CONSTANTS}")
        plain = {name: each for name, each in constants.items() if each.get("tensor_meta") is not None}
        buffers = self._buffers(program) if plain else frozenset()
        for name, entry in plain.items():
            stored = self._stored(f"{prefix}{name}", entry, f"{self.root}data/constants/")
            if name in buffers:
                yield replace(stored, kind="buffer", persistent=False)
            else:
                yield replace(stored, kind="stored", requires_grad=None)

    def contents(self, programs: Sequence[str]) -> Iterator[ContentRow]:
        """Yield what else the archive holds: graphs, sample inputs, objects, compiled code."""
        data = (f"{self.root}data/weights/", f"{self.root}data/constants/tensor_")
        small = {f"{self.root}{each}" for each in (EXPORTED, "archive_version", "byteorder", "version")}
        configs = {f"{self.root}data/constants/{each}{_CONSTANTS}" for each in programs}
        for name, member in self.members.items():
            inside = name.removeprefix(self.root)
            if not name.startswith(data) and name not in small | configs and not inside.startswith(".data/"):
                yield ContentRow(inside, "file", nbytes=member.size)

    def _config(self, name: str) -> dict[str, dict[str, Any]]:
        found = self.json(f"{self.root}{name}").get("config", {})
        if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
            raise ValueError(f"{shorten(name)} is not a mapping of names")
        if len(found) > MOST_NAMES:
            raise ValueError(f"it has more than {MOST_NAMES:,} tensors")
        return found

    def _buffers(self, program: str) -> frozenset[str]:
        """Return the names of the buffers that are not persistent, as the graph has them."""
        try:
            graph = self.json(f"{self.root}models/{program}.json")
            specs = graph["graph_module"]["signature"]["input_specs"]
            found = [each["buffer"] for each in specs if "buffer" in each]
            return frozenset(each["buffer_name"] for each in found if each["persistent"] is False)
        except (KeyError, TypeError, ValueError):  # too large, or of another version: only kinds are lost
            return frozenset()

    def _stored(self, name: str, entry: Mapping[str, Any], folder: str) -> Stored:
        try:
            return self._placed(name, entry, f"{folder}{entry['path_name']}")
        except (KeyError, TypeError, ValueError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"the tensor '{shorten(name)}': {what}") from error

    def _placed(self, name: str, entry: Mapping[str, Any], place: str) -> Stored:
        meta = entry["tensor_meta"]
        dtype = _DTYPES.get(meta["dtype"], f"dtype {meta['dtype']}")
        (offset,) = _sizes([meta["storage_offset"]])
        member = self.members.get(place)
        size = 0 if member is None else member.size
        tensor = PickledTensor(
            Storage(None, place, size), offset, _sizes(meta["sizes"]), _sizes(meta["strides"]), dtype,
            requires_grad=meta["requires_grad"] if isinstance(meta.get("requires_grad"), bool) else None,
            missing=self._missing(entry, dtype, member),
        )  # fmt: skip
        room = Room(0 if member is None else member.position, size, tensor.missing)
        return Places(self.file.path, {place: room}, self._is_big_endian).stored(name, Leaf(tensor))

    def _missing(self, entry: Mapping[str, Any], dtype: str, member: Member | None) -> str | None:
        if entry.get("use_pickle"):
            return "of a custom class, which is pickled"
        if entry["tensor_meta"].get("layout", _STRIDED) != _STRIDED:
            return "sparse"
        if dtype not in DTYPES:
            return f"of the dtype {dtype}, which is not read"
        if member is None:
            raise ValueError(f"the archive does not have {shorten(str(entry['path_name']))}")
        if not member.size and 0 not in _sizes(entry["tensor_meta"]["sizes"]):
            return "without elements, as exported from fake tensors"
        return "compressed in its archive" if member.compressed else None

    @cached_property
    def _is_big_endian(self) -> bool:
        order = self.members.get(f"{self.root}byteorder")
        return order is not None and (order.size > 16 or read_member(self.file, order) != b"little")


def _sizes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise ValueError("its shape is not a list")
    found: list[int] = []
    for each in values:
        size = each.get("as_int") if isinstance(each, dict) else None
        if type(size) is not int or not 0 <= size < 2**63:
            raise ValueError("its shape is not one of numbers")
        found.append(size)
    return tuple(found)
