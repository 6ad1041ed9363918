"""The zip archives of torch.save and torch.jit.save: a pickle, and a member for each storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paramtool.errors import ParamtoolError
from paramtool.files.reading.open_file import Location, OpenFile
from paramtool.files.reading.pickle_bytes import Span
from paramtool.files.reading.pickle_machine import read_pickle
from paramtool.files.reading.pickled_modules import Declared
from paramtool.files.reading.pickled_values import Room
from paramtool.files.reading.torch_script import declared_classes
from paramtool.files.reading.zip_directory import Member, read_member, read_members

_PICKLE = "/data.pkl"
_SAVE_AGAIN = "if you trust it, save it again with torch.save"


@dataclass(frozen=True)
class Archive:
    """What an archive holds.

    Attributes:
        root: what was pickled.
        rooms: the bytes of each storage by its key.
        swapped: whether a big-endian machine wrote it.
        format: ``torch.save`` or ``TorchScript``.
        declared: what the classes of TorchScript say about their attributes.
        constants: the pickle of TorchScript's constants, or None.
        trailing: bytes of the file that follow what is read.
    """

    root: Any
    rooms: Mapping[str, Room]
    swapped: bool = False
    format: str = "torch.save"
    declared: Mapping[str, Declared] = field(default_factory=dict)
    constants: Any = None
    constant_rooms: Mapping[str, Room] = field(default_factory=dict)
    trailing: int = 0


def read_archive(file: OpenFile, base: int = 0, size: int | None = None) -> Archive:
    """Return what the archive holds, with nothing of it run.

    Args:
        file: the open file.
        base: the byte of the file at which the archive begins, if it is inside of another one.
        size: its bytes; by default all that the file has.

    Raises:
        ParamtoolError: for an archive that neither torch.save nor torch.jit.save wrote, or a broken one.
    """
    members = read_members(file, base, size)
    root = _root(members, file.path)
    is_script = any(name.startswith(f"{root}/code/") or name == f"{root}/constants.pkl" for name in members)
    found = _unpickled(file, members[f"{root}{_PICKLE}"])
    swapped = _is_swapped(file, members.get(f"{root}/byteorder"))
    rooms = _rooms(members, f"{root}/data/")
    if not is_script:
        return Archive(found, rooms, swapped)
    declared = declared_classes(file, members, root)
    member = members.get(f"{root}/constants.pkl")
    constants = _unpickled(file, member) if member is not None and not member.compressed else None
    inside = _rooms(members, f"{root}/constants/")
    return Archive(found, rooms, swapped, "TorchScript", declared, constants, inside)


def _root(members: Mapping[str, Member], path: Location) -> str:
    """Return the folder in the archive that everything is in."""
    roots = [name.removesuffix(_PICKLE) for name in members if name.endswith(_PICKLE)]
    if not roots and any(name.rpartition("/")[2] == "model.json" for name in members):
        raise ParamtoolError(f"{path} is a TorchScript archive of torch before 1.4", hint=_SAVE_AGAIN)
    if len(roots) != 1:
        raise ParamtoolError(
            f"{path} is a zip archive, but torch.save did not write it", hint="it has no data.pkl"
        )
    return roots[0]


def _unpickled(file: OpenFile, member: Member) -> Any:
    if member.compressed:
        raise ParamtoolError(
            f"cannot read {file.path}: its pickle is compressed, and torch.save stores members as they are",
            hint=_SAVE_AGAIN,
        )
    try:
        return read_pickle(Span(file, member.position, member.position + member.size))[0]
    except ParamtoolError as error:
        raise ParamtoolError(f"{file.path}: {error.message}", hint=error.hint) from error


def _rooms(members: Mapping[str, Member], start: str) -> dict[str, Room]:
    return {
        name[len(start) :]: Room(
            each.position, each.size, "compressed in its archive" if each.compressed else None
        )
        for name, each in members.items()
        if name.startswith(start)
    }


def _is_swapped(file: OpenFile, member: Member | None) -> bool:
    if member is None:
        return False
    order = read_member(file, member) if member.size <= 16 and not member.compressed else b""
    if order not in (b"little", b"big"):
        raise ParamtoolError(f"{file.path}: its byteorder is neither little nor big")
    return order == b"big"
