"""Find the elements of a piece of a tensor that torch.save wrote into a larger file."""

from __future__ import annotations

from dataclasses import replace

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Piece
from paramtool.files.reading.open_file import opened
from paramtool.files.reading.pickled_modules import Leaf
from paramtool.files.reading.pickled_values import PickledTensor
from paramtool.files.reading.stored_tensors import Places
from paramtool.files.reading.torch_archive import read_archive


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
    with opened(piece.path) as file:
        archive = read_archive(file, piece.position, piece.archive)
    tensor = archive.root
    where = f"{piece.path} has at byte {piece.position:,}"
    if not isinstance(tensor, PickledTensor):
        raise ParamtoolError(f"{where} something that is not a tensor")
    try:
        stored = Places(piece.path, archive.rooms, archive.swapped).stored("", Leaf(tensor))
    except ParamtoolError as error:
        raise ParamtoolError(f"{where} a broken tensor: {error.message}") from error
    if (stored.dtype, stored.shape) != (dtype, piece.shape) or stored.missing is not None:
        found = f"{stored.dtype} {list(stored.shape)}" if stored.missing is None else stored.missing
        raise ParamtoolError(f"{where} a tensor that is {found}, not {dtype} {list(piece.shape)}")
    return replace(piece, position=stored.position, strides=stored.strides, archive=0)
