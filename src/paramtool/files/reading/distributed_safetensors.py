"""Join the safetensors files that torch's distributed checkpoints write: each has a piece of some tensors.

`HuggingFaceStorageWriter` with ``save_distributed=True`` gives every piece the name of the whole tensor,
and says in the metadata where it belongs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES, Checkpoint, Piece, Stored
from paramtool.files.reading.json_guard import parse_object
from paramtool.files.reading.signatures import SHARDING
from paramtool.files.reading.tiles import fitted

PIECE = re.compile(r"shard-[0-9]{5,}-model-[0-9]{5,}-of-[0-9]{5,}\.safetensors")
"""What the files are called."""

FOLDER = "sharded"
"""Where the files are in a folder whose whole tensors torch writes beside them."""

_OFFSETS = "saved_offsets"


def noted(checkpoint: Checkpoint) -> Checkpoint:
    """Return the content of one file with a note, if it has pieces of tensors."""
    if SHARDING not in checkpoint.metadata:
        return checkpoint
    note = (
        f"{checkpoint.name} is one piece of a distributed checkpoint: each shape is that of the piece here; "
        "name its folder for the whole tensors"
    )
    return replace(checkpoint, notes=(*checkpoint.notes, note))


def join(files: Iterable[Checkpoint], name: str) -> Checkpoint:
    """Return the whole tensors of which the files have pieces.

    Args:
        files: all of the checkpoint.
        name: what to call it.

    Raises:
        ParamtoolError: if a file does not say where its pieces belong, or they do not fit together.
    """
    pieces: dict[str, list[tuple[Stored, Piece]]] = {}
    metadata: dict[str, str] = {}
    for file in files:
        offsets = _offsets(file)
        for stored in file.tensors:
            if stored.name not in offsets:
                raise ParamtoolError(f"{file.name} does not say where '{shorten(stored.name)}' belongs")
            piece = Piece(offsets[stored.name], stored.shape, stored.path, stored.position)
            pieces.setdefault(stored.name, []).append((stored, piece))
        if len(pieces) > MOST_NAMES:
            raise ParamtoolError(f"{name} has more than {MOST_NAMES:,} tensors")
        metadata.update({key: text for key, text in file.metadata.items() if key != SHARDING})
    tensors = tuple(_joined(each, name) for each in pieces.values())
    return Checkpoint(name, tensors, metadata=metadata, format="distributed safetensors")


def _joined(pieces: list[tuple[Stored, Piece]], name: str) -> Stored:
    first = pieces[0][0]
    try:
        if any(stored.dtype != first.dtype for stored, _ in pieces):
            raise ValueError("its pieces are of several dtypes")
        if len({len(piece.offsets) for _, piece in pieces}) > 1:
            raise ValueError("its pieces have several numbers of dimensions")
        boxes = [piece for _, piece in pieces]
        ends = [[i + size for i, size in zip(each.offsets, each.shape, strict=True)] for each in boxes]
        shape = tuple(max(each) for each in zip(*ends, strict=True))
        fits = fitted(shape, boxes)
    except ValueError as error:
        raise ParamtoolError(f"{name} has '{shorten(first.name)}' in pieces: {error}") from error
    sizes = {(piece.offsets, piece.shape): stored.nbytes for stored, piece in pieces}
    place = fits[0] if fits else boxes[0]
    return replace(
        first, shape=shape, nbytes=sum(sizes.values()), path=place.path, position=place.position,
        pieces=fits if len(fits) > 1 else (),
    )  # fmt: skip


def _offsets(file: Checkpoint) -> Mapping[str, tuple[int, ...]]:
    """Return the index of the first element of each piece in its tensor."""
    try:
        described = parse_object(file.metadata.get(SHARDING, "{}"))
        return {
            name: _indexes(each.get(_OFFSETS) if isinstance(each, dict) else None)
            for name, each in described.items()
        }
    except ValueError as error:
        raise ParamtoolError(f"{file.name} has an invalid {SHARDING}: {error}") from error


def _indexes(value: object) -> tuple[int, ...]:
    if not (isinstance(value, list) and all(type(each) is int and 0 <= each < 2**63 for each in value)):
        raise ValueError(f"its {_OFFSETS} are not a list of indexes")
    return tuple(value)
