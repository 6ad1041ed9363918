"""Find the elements of a piece of a tensor that torch.save wrote into a larger file."""

from __future__ import annotations

import math
from dataclasses import replace

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Piece, opened
from paramtool.files.reading.pickle_machine import read_pickle
from paramtool.files.reading.pickled_calls import PickledTensor, Storage
from paramtool.files.reading.pickled_globals import DTYPES
from paramtool.files.reading.zip_directory import read_member, read_members

_PICKLE = "/data.pkl"
_LARGEST_PICKLE = 1 << 20


def find_elements(piece: Piece, dtype: str) -> Piece:
    """Return the piece with the place of its elements, which are those of one tensor in an archive.

    Args:
        piece: whose `archive` may be 0, and then it is returned as it is.
        dtype: torch's name of what the elements must be.

    Raises:
        ParamtoolError: if there is no such archive, or its tensor has another dtype or shape.
    """
    if not piece.archive:
        return piece
    with opened(piece.path) as descriptor:
        members = read_members(descriptor, piece.path, piece.position, piece.archive)
        roots = [name.removesuffix(_PICKLE) for name in members if name.endswith(_PICKLE)]
        if len(roots) != 1 or members[f"{roots[0]}{_PICKLE}"].size > _LARGEST_PICKLE:
            raise _wrong(piece, "is not an archive of torch.save")
        tensor = read_pickle(read_member(descriptor, piece.path, members[f"{roots[0]}{_PICKLE}"]))
    if not isinstance(tensor, PickledTensor) or not isinstance(tensor.storage, Storage):
        raise _wrong(piece, "does not hold a tensor")
    if tensor.dtype != dtype or tuple(tensor.shape) != piece.shape:
        raise _wrong(piece, f"is {tensor.dtype} {list(tensor.shape)}, not {dtype} {list(piece.shape)}")
    member = members.get(f"{roots[0]}/data/{tensor.storage.key}")
    start = tensor.offset * DTYPES[dtype] if type(tensor.offset) is int else -1
    span = _span(piece.shape, tuple(tensor.strides)) * DTYPES[dtype]
    if member is None or member.compressed or start < 0 or start + span > member.size:
        raise _wrong(piece, "does not hold all of its elements")
    return replace(piece, position=member.position + start, strides=tuple(tensor.strides), archive=0)


def _span(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Return how many elements there are from the first to the last."""
    if len(strides) != len(shape) or any(type(each) is not int or each < 0 for each in strides):
        return 1 << 62
    return (
        1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        if math.prod(shape)
        else 0
    )


def _wrong(piece: Piece, what: str) -> ParamtoolError:
    return ParamtoolError(f"what {piece.path} has at byte {piece.position:,} {what}")
