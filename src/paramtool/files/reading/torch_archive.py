"""Opening what torch.save wrote: names, shapes and places of its tensors, with no code run and no torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Stored, opened
from paramtool.files.reading.pickle_machine import LARGEST, read_pickle
from paramtool.files.reading.pickled_calls import PickledTensor, Storage
from paramtool.files.reading.pickled_globals import DTYPES
from paramtool.files.reading.safetensors_header import MOST_DIMENSIONS
from paramtool.files.reading.state_dict import find_state_dict
from paramtool.files.reading.zip_directory import Member, has_its_sum, read_member, read_members

_PICKLE = "/data.pkl"
_SAVE_AGAIN = "load it where you trust it, and save its state_dict()"


def read_archive(
    path: Path, key: str | None = None, name: str | None = None, base: int = 0, size: int | None = None
) -> Checkpoint:
    """Return the state_dict in the archive at `path`.

    Args:
        path: the file.
        key: where in it the state_dict is; by default where training scripts put it.
        name: what to call the checkpoint; by default the path.
        base: the byte of the file at which the archive begins, if it is inside of another one.
        size: its bytes; by default all that the file has.

    Raises:
        ParamtoolError: for what is no archive of torch.save, or holds anything but tensors and plain data.
    """
    with opened(path) as descriptor:
        members = read_members(descriptor, path, base, size)
        root = _root(members, path)
        _check_byte_order(descriptor, path, members.get(f"{root}/byteorder"))
        pickled = read_member(descriptor, path, members[f"{root}{_PICKLE}"])
    try:
        state = find_state_dict(read_pickle(pickled), key)
        tensors = [_stored(each, tensor, path, root, members) for each, tensor in state.items()]
    except ParamtoolError as error:
        raise ParamtoolError(f"{path}: {error.message}", hint=error.hint) from error
    return _checkpoint(name or str(path), tensors)


def broken_members(path: Path) -> tuple[int, list[str]]:
    """Return how many members the archive has, and which do not have the sum they were written with."""
    with opened(path) as descriptor:
        members = read_members(descriptor, path)
        return len(members), [
            each.name for each in members.values() if not has_its_sum(descriptor, path, each)
        ]


def _root(members: Mapping[str, Member], path: Path) -> str:
    """Return the folder in the archive that everything is in."""
    roots = [name.removesuffix(_PICKLE) for name in members if name.endswith(_PICKLE)]
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in members):
        raise ParamtoolError(f"{path} is a TorchScript archive, which is code", hint=_SAVE_AGAIN)
    if len(roots) != 1:
        raise ParamtoolError(
            f"{path} is a zip archive, and not one of torch.save", hint="it lacks a data.pkl"
        )
    for each in members.values():
        if each.compressed:
            what = f"{shorten(each.name)} in it is compressed, and torch.save stores members as they are"
            raise ParamtoolError(f"cannot read {path}: {what}", hint=_SAVE_AGAIN)
    size = members[f"{roots[0]}{_PICKLE}"].size
    if size > LARGEST:
        raise ParamtoolError(f"{path} has a pickle of {size:,} bytes; at most {LARGEST:,}")
    return roots[0]


def _check_byte_order(descriptor: int, path: Path, member: Member | None) -> None:
    if member is not None and (member.size > 16 or read_member(descriptor, path, member) != b"little"):
        raise ParamtoolError(f"{path} was written by a big-endian machine", hint="save it again on this one")


def _stored(name: str, tensor: PickledTensor, path: Path, root: str, members: Mapping[str, Member]) -> Stored:
    try:
        return _placed(name, tensor, path, root, members)
    except ValueError as error:
        raise ParamtoolError(f"the tensor '{shorten(name)}' {error}") from error


def _placed(name: str, tensor: PickledTensor, path: Path, root: str, members: Mapping[str, Member]) -> Stored:
    if tensor.unreadable or tensor.dtype is None:
        raise ValueError(f"is {tensor.unreadable}, and only plain tensors are read")
    storage: Storage = tensor.storage
    size = DTYPES[tensor.dtype]
    shape, strides = _sizes(tensor.shape), _sizes(tensor.strides)
    if len(shape) != len(strides) or len(shape) > MOST_DIMENSIONS or type(tensor.offset) is not int:
        raise ValueError("has a shape that no tensor has")
    member = members.get(f"{root}/data/{storage.key}")
    nbytes = storage.numel * (DTYPES[storage.dtype] if storage.dtype else 1)
    if member is None or member.size != nbytes:
        found = "it is not there" if member is None else f"it has {member.size:,}"
        raise ValueError(f"is in the member data/{shorten(storage.key)} of {nbytes:,} bytes, and {found}")
    count = math.prod(shape)
    start = tensor.offset * size if count else 0
    span = 1 + sum((each - 1) * stride for each, stride in zip(shape, strides, strict=True)) if count else 0
    if start < 0 or start + span * size > member.size or count * size >= 2**63:
        raise ValueError("reaches beyond its storage")
    return Stored(
        name, tensor.dtype, shape, count * size, path, member.position + start,
        strides=None if _is_row_major(shape, strides) else strides,
        storage=storage.key, start=start, requires_grad=tensor.requires_grad,
    )  # fmt: skip


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


def _checkpoint(name: str, tensors: Iterable[Stored]) -> Checkpoint:
    """Return the checkpoint; two names of the very same elements are tied."""
    first: dict[object, str] = {}
    own: list[Stored] = []
    tied: dict[str, str] = {}
    for each in tensors:
        key = (each.storage, each.start, each.shape, each.strides, each.dtype) if each.nbytes else each.name
        if key in first:
            tied[each.name] = first[key]
        else:
            first[key] = each.name
            own.append(each)
    uses = Counter(each.storage for each in own)
    alone = (each if uses[each.storage] > 1 else replace(each, storage=None) for each in own)
    return Checkpoint(name, tuple(alone), tied, has_sums=True)
