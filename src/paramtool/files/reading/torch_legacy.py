"""Files that torch.save wrote before torch 1.6: pickles in a row, then the bytes of the storages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.pickle_bytes import Span
from paramtool.files.reading.pickle_machine import read_pickle
from paramtool.files.reading.pickle_stack import LOAD
from paramtool.files.reading.pickled_globals import DTYPES
from paramtool.files.reading.pickled_values import Bytes, Object, Room, Storage

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that the first pickle holds."""

_BYTES_A_STEP = 4


@dataclass(frozen=True)
class Pickled:
    """What a file holds.

    Attributes:
        root: what was pickled.
        rooms: the bytes of each storage by its key.
        end: the byte after it.
        swapped: whether a big-endian machine wrote it.
    """

    root: Any
    rooms: Mapping[str, Room]
    end: int
    swapped: bool = False


def read_bare(span: Span) -> Pickled | None:
    """Return what a file holds that is one pickle.

    Returns:
        None for a file of torch before 1.6: `read_legacy` reads that.

    Raises:
        ParamtoolError: for what is broken.
    """
    root, end = read_pickle(span, load=NestedStorages(span))
    return None if root == MAGIC and type(root) is int else Pickled(root, {}, end)


def read_legacy(span: Span) -> Pickled:
    """Return what is at a place of a file in the format of torch before 1.6.

    Raises:
        ParamtoolError: for what is broken, or cut off.
    """
    magic, at = read_pickle(span)
    if type(magic) is not int or magic != MAGIC:
        raise ParamtoolError("it is not in torch's format before 1.6")
    _, at = read_pickle(span._replace(start=at))
    system, at = read_pickle(span._replace(start=at))
    storages: dict[str, Storage] = {}
    root, at = read_pickle(span._replace(start=at), storages)
    keys, at = read_pickle(span._replace(start=at))
    swapped = isinstance(system, dict) and system.get("little_endian", system.get(b"little_endian")) is False
    if not isinstance(keys, list):
        raise ParamtoolError("its list of storages is broken")
    rooms, end = _rooms(span._replace(start=at), keys, storages, swapped)
    return Pickled(root, rooms, end, swapped)


def _rooms(
    span: Span, keys: list[Any], storages: Mapping[str, Storage], swapped: bool
) -> tuple[dict[str, Room], int]:
    """Return the bytes of each storage, before which is a count of elements, and where they end."""
    rooms: dict[str, Room] = {}
    at = span.start
    for each in keys:
        key = each.decode("ascii", "replace") if isinstance(each, bytes) else each
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or key in rooms:
            raise ParamtoolError("its list of storages is broken")
        if at + 8 > span.end:
            raise ParamtoolError(f"it ends before the storage {shorten(key)}; it was cut off")
        count = int.from_bytes(span.read(at, 8), "big" if swapped else "little")
        size = count * (DTYPES[storage.dtype] if storage.dtype else 1)
        if at + 8 + size > span.end:
            raise ParamtoolError(
                f"its storage {shorten(key)} has {size:,} bytes, and the file ends sooner; it was cut off"
            )
        rooms[key] = Room(at + 8, size)
        at += 8 + size
    return rooms, at


class NestedStorages:
    """Storages inside a pickle, which ``pickle.dump`` of a tensor writes as files of torch before 1.6."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._known: dict[int, Any] = {}

    def __call__(self, arguments: tuple[Any, ...]) -> tuple[Any, int]:
        """Return what stands for a call of `LOAD`, and how many steps it took."""
        content = arguments[0] if arguments else None
        if not isinstance(content, Bytes) or content.position is None:
            return Object(LOAD), 1
        if content.position in self._known:
            return self._known[content.position], 1
        found, cost = self._read(content.position, content.size)
        self._known[content.position] = found
        return found, cost

    def _read(self, position: int, size: int) -> tuple[Any, int]:
        found = read_legacy(self._span._replace(start=position, end=position + size))
        if not isinstance(found.root, Storage) or found.root.key not in found.rooms:
            return Object(LOAD), size
        room = found.rooms[found.root.key]
        cost = (room.position - position) // _BYTES_A_STEP
        if found.swapped:
            room = replace(room, missing="written by a big-endian machine")
        return replace(found.root, key=f"storage at {position}", room=room), cost
