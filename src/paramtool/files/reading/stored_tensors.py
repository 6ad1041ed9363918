"""Where the tensors of a pickle are in the file: from their storages to bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Stored
from paramtool.files.reading.open_file import Location
from paramtool.files.reading.pickled_globals import DTYPES
from paramtool.files.reading.pickled_modules import Leaf
from paramtool.files.reading.pickled_values import PickledTensor, Room, Storage
from paramtool.files.reading.safetensors_header import MOST_DIMENSIONS


class Places:
    """Finds the bytes of tensors.

    Args:
        path: the file.
        rooms: the bytes of each storage by its key.
        swapped: whether a big-endian machine wrote the file.
    """

    def __init__(self, path: Location, rooms: Mapping[str, Room], swapped: bool = False) -> None:
        self._path = path
        self._rooms = rooms
        self._swapped = swapped

    def stored(self, name: str, leaf: Leaf) -> Stored:
        """Return the tensor as a checkpoint has it.

        Raises:
            ParamtoolError: if its shape is not one, or reaches beyond its storage.
        """
        try:
            return self._stored(name, leaf)
        except ValueError as error:
            raise ParamtoolError(f"the tensor '{shorten(name)}' {error}") from error

    def nbytes(self, tensor: PickledTensor) -> int:
        """Return the bytes of its elements; of a tensor that is made of others, those of the others."""
        try:
            return self._nbytes(tensor, _sizes(tensor.shape))
        except ValueError:
            return 0

    def _nbytes(self, tensor: PickledTensor, shape: tuple[int, ...]) -> int:
        if tensor.parts and tensor.storage is None:
            return sum(
                math.prod(_sizes(each.shape)) * DTYPES.get(each.dtype or "", 0) for each in tensor.parts
            )
        return math.prod(shape) * DTYPES.get(tensor.dtype or "", 0)

    def _stored(self, name: str, leaf: Leaf) -> Stored:
        tensor = leaf.tensor
        shape = _sizes(tensor.shape)
        nbytes = self._nbytes(tensor, shape)
        if len(shape) > MOST_DIMENSIONS or nbytes >= 2**63 or math.prod(shape) >= 2**63:
            raise ValueError("has a shape that no tensor has")
        missing, position, start, strides = tensor.missing, 0, 0, None
        if tensor.storage is not None and missing != "on the meta device":
            size = DTYPES.get(tensor.dtype or "", 1)
            strides = _sizes(tensor.strides)
            room, start = self._place(tensor, shape, strides, size)
            position = room.position + start
            missing = missing or room.missing
            if self._swapped and size > 1:
                missing = missing or "written by a big-endian machine"
        is_plain = missing is not None or strides is None or _is_row_major(shape, strides)
        return Stored(
            name, tensor.dtype or "unknown", shape, nbytes, self._path, position,
            strides=None if is_plain else strides,
            storage=tensor.storage.key if tensor.storage and missing is None else None, start=start,
            requires_grad=tensor.requires_grad, kind=self._kind(leaf), persistent=leaf.persistent,
            type=leaf.type, missing=missing, is_array=tensor.is_array,
        )  # fmt: skip

    @staticmethod
    def _kind(leaf: Leaf) -> str:
        return "parameter" if leaf.kind == "stored" and leaf.tensor.requires_grad is not None else leaf.kind

    def _place(
        self, tensor: PickledTensor, shape: tuple[int, ...], strides: tuple[int, ...], size: int
    ) -> tuple[Room, int]:
        """Return the bytes of the storage, and the byte of it at which the first element begins."""
        storage: Any = tensor.storage
        if len(shape) != len(strides) or type(tensor.offset) is not int:
            raise ValueError("has a shape that no tensor has")
        room = self._room(storage)
        count = math.prod(shape)
        own = DTYPES[storage.dtype] if storage.dtype else 1
        start = tensor.offset * size + storage.start * own if count else 0
        span = 1 + sum((each - 1) * step for each, step in zip(shape, strides, strict=True)) if count else 0
        if start < 0 or (room.missing is None and start + span * size > room.size):
            raise ValueError("reaches beyond its storage")
        return room, start

    def _room(self, storage: Storage) -> Room:
        if storage.room is not None:
            return storage.room
        nbytes = storage.numel * (DTYPES[storage.dtype] if storage.dtype else 1)
        room = self._rooms.get(storage.key)
        is_there = room is not None and (room.size == nbytes or room.missing is not None or storage.start)
        if room is None or not is_there:
            found = "it is not there" if room is None else f"it has {room.size:,}"
            raise ValueError(f"is in the member data/{shorten(storage.key)} of {nbytes:,} bytes, and {found}")
        return room


def _sizes(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (tuple, list)) or not all(
        type(each) is int and 0 <= each < 2**63 for each in value
    ):
        raise ValueError("has a shape that no tensor has")
    return tuple(value)


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != expected:
            return 0 in shape
        expected *= size
    return True


def tied(tensors: Iterable[tuple[PickledTensor, Stored]]) -> tuple[tuple[Stored, ...], dict[str, str]]:
    """Return the tensors, and the names that stand for one of them.

    Two names are tied where the pickle has one tensor for both, or two of the very same elements.
    """
    first: dict[Hashable, str] = {}
    own: list[Stored] = []
    names: dict[str, str] = {}
    for tensor, each in tensors:
        keys: list[Hashable] = [id(tensor)]
        if each.nbytes and each.storage is not None:
            keys.append((each.storage, each.start, each.shape, each.strides, each.dtype))
        known = next((first[key] for key in keys if key in first), None)
        for key in keys:
            first.setdefault(key, each.name if known is None else known)
        if known is None:
            own.append(each)
        else:
            names[each.name] = known
    uses = Counter(each.storage for each in own)
    alone = (each if uses[each.storage] > 1 else replace(each, storage=None) for each in own)
    return tuple(alone), names
