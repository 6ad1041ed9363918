"""Opening a safetensors file: its header, strictly, and not a byte of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import AlikeTensors, Checkpoint, Stored
from paramtool.files.reading.open_file import Location, OpenFile, opened
from paramtool.files.reading.pickled_globals import VALUELESS
from paramtool.files.reading.safetensors_header import Header, lack_of, parse_header
from paramtool.files.safetensors_format import LONGEST_HEADER
from paramtool.quantities import counted

OTHER_METADATA = ("format", "paramtool")
"""Keys of the metadata that stand for no tensor, whatever their values."""


def read_safetensors(path: Location, name: str | None = None) -> Checkpoint:
    """Return what the file at `path` holds.

    Args:
        path: the file.
        name: what to call it; by default its path.

    Raises:
        ParamtoolError: if it is not a valid safetensors file.
    """
    with opened(path) as file:
        tensors, metadata = read_open_file(file)
    return Checkpoint(
        name or str(path), tensors, tied_names(tensors.names, metadata), metadata, format="safetensors"
    )


def read_open_file(file: OpenFile) -> tuple[AlikeTensors, dict[str, str]]:
    """Return the tensors and the metadata of an open file.

    Raises:
        ParamtoolError: if it is not a valid safetensors file.
    """
    invalid = f"{file.path} is not a valid safetensors file"
    try:
        size = file.size
        if size < 8:
            raise ValueError("it ends too early; it was cut off")
        length = int.from_bytes(file.read(0, 8), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length:,} bytes; at most {LONGEST_HEADER:,}")
        if 8 + length > size:
            is_text = size > 8 and file.read(8, 1) == b"{"
            cut = "; it was cut off" if is_text or size == 8 else ""
            raise ValueError(f"a header of {length:,} bytes in a file of {size:,}{cut}")
        found, metadata = parse_header(file.read(8, length).decode())
        _check_data(found, size - 8 - length)
    except OSError as error:
        raise ParamtoolError(f"cannot read {file.path}: {error.strerror}") from error
    except UnicodeError as error:
        raise ParamtoolError(f"{invalid}: its header is not UTF-8") from error
    except ValueError as error:
        raise ParamtoolError(f"{invalid}: {error}") from error
    return _stored(found, file.path, 8 + length), metadata


def tied_names(names: Iterable[str], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the names that the metadata map to a tensor, as `safetensors.torch.save_model` writes them.

    They are in alphabetical order: that of the file is an accident of a hash table.
    """
    if metadata.keys() <= {*OTHER_METADATA}:
        return {}
    own = set(names)
    return {
        name: first
        for name, first in sorted(metadata.items())
        if first in own and name not in own and name not in OTHER_METADATA
    }


def _stored(found: Header, path: Location, data: int) -> AlikeTensors:
    """Return the tensors of the file at `path`, whose data begin at the byte `data`."""
    examples: dict[tuple[str, tuple[int, ...]], Stored] = {}
    for at, kind in enumerate(found.kinds):
        if kind not in examples:
            dtype, shape = kind
            nbytes = found.ends[at] - found.begins[at]
            missing = lack_of(dtype) or VALUELESS.get(dtype)
            examples[kind] = Stored(found.names[at], dtype, shape, nbytes, path, 0, missing=missing)
    positions = [data + begin for begin in found.begins]
    return AlikeTensors(found.names, [examples[kind] for kind in found.kinds], positions)


def _check_data(found: Header, size: int) -> None:
    """See that the tensors follow each other, and fill the file."""
    position = 0
    if found.begins == [0, *found.ends[:-1]]:  # as they nearly always stand
        position = found.ends[-1]
    else:
        for begin, end, name in sorted(zip(found.begins, found.ends, found.names, strict=True), key=_PLACE):
            if begin != position:
                what = "overlaps another" if begin < position else "leaves a hole before it"
                raise ValueError(f"the tensor '{shorten(name)}' {what}")
            position = end
    if position > size:
        raise ValueError(f"its tensors need {position:,} bytes, and it has {size:,}; it was cut off")
    if position < size:
        verb = "follows" if size - position == 1 else "follow"
        raise ValueError(f"{counted(size - position, 'byte')} {verb} its last tensor")


_PLACE = itemgetter(0, 1)
