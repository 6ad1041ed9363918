"""Reading a safetensors header back, to see that the file on the disk is the one that was meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.safetensors_format import DTYPES, LONGEST_HEADER, METADATA

Found = dict[str, tuple[str, tuple[int, ...], int, int]]
"""Of each tensor, in the header's order: torch's dtype name, the shape, begin and end in the file."""

_NAMES = {code: name for name, (code, _) in DTYPES.items()}


def read_back(path: Path) -> Found:
    """Return what the header of the file at `path` says.

    Raises:
        ParamtoolError: where it is no whole safetensors file, or one of dtypes that we do not write.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ParamtoolError(f"cannot read {path}: {error.strerror}") from error
    try:
        return read_open_file(descriptor, path)
    finally:
        os.close(descriptor)


def read_open_file(descriptor: int, path: Path) -> Found:
    """Do the same for the open file `descriptor`, which goes by the name `path`."""
    try:
        length = int.from_bytes(_read(descriptor, 8, 0), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length:,} bytes is too long")
        header = json.loads(_read(descriptor, length, 8))
        header.pop(METADATA, None)
        found = {name: _place(value, 8 + length) for name, value in header.items()}
        end = max((end for *_, end in found.values()), default=8 + length)
        if os.fstat(descriptor).st_size != end:
            raise ValueError(f"{os.fstat(descriptor).st_size:,} bytes, where the header says {end:,}")
    except OSError as error:
        raise ParamtoolError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ParamtoolError(f"{path} is no whole safetensors file: {error}") from error
    return found


def _place(value: dict[str, object], data: int) -> tuple[str, tuple[int, ...], int, int]:
    shape, offsets = value["shape"], value["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list):
        raise ValueError("a shape or place is no list")
    begin, end = offsets
    return _NAMES[str(value["dtype"])], tuple(shape), data + begin, data + end


def _read(descriptor: int, length: int, position: int) -> bytes:
    pieces = []
    while length:
        piece = os.pread(descriptor, min(length, 2**30), position)
        if not piece:
            raise ValueError("it ends too early")
        pieces.append(piece)
        length -= len(piece)
        position += len(piece)
    return b"".join(pieces)
