"""Open NumPy's files: one array (``.npy``), or a zip archive of them (``.npz``).  Nothing is unpickled.

The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES, Checkpoint, Stored
from paramtool.files.reading.open_file import Location, OpenFile, opened
from paramtool.files.reading.safetensors_header import MOST_DIMENSIONS
from paramtool.files.reading.signatures import ARRAY, NUMPY
from paramtool.files.reading.trailing_bytes import ignored
from paramtool.files.reading.zip_directory import Member, read_members
from paramtool.records.contents import ContentRow

LONGEST_HEADER = 1 << 16
"""Bytes of what describes an array; NumPy itself reads 10,000 characters unless it is told otherwise."""

_USUAL_HEADER = 512

_DTYPES = {
    "b1": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64", "u1": "uint8", "u2": "uint16",
    "u4": "uint32", "u8": "uint64", "f2": "float16", "f4": "float32", "f8": "float64", "c8": "complex64",
    "c16": "complex128",
}  # fmt: skip
"""NumPy's codes of dtypes, and torch's names."""

_PART = r"\s*'(?:descr|fortran_order|shape)'\s*:\s*(?:'[^']*'|True|False|\([\d,\sL]*\))\s*"
_PLAIN = re.compile(rf"\{{({_PART},){{2}}{_PART},?\s*\}}\s*")
_FIELDS = re.compile(
    r"\{'descr': \[.*\], 'fortran_order': (?:True|False), 'shape': \((?P<shape>[^()']*)\), \}\s*"
)
_SHAPE = re.compile(r"'shape'\s*:\s*\((?P<shape>[\d,\sL]*)\)")
_FORTRAN = re.compile(r"'fortran_order'\s*:\s*(?P<fortran>True|False)")
_DESCR = re.compile(r"'descr'\s*:\s*'([<>|=]?)([a-zA-Z?])(\d*)([^']*)'")


@dataclass(frozen=True)
class _Described:
    """An array as its header has it: its elements begin at the byte `start`."""

    dtype: str
    itemsize: int
    shape: tuple[int, ...]
    is_fortran: bool
    start: int
    missing: str | None

    @property
    def strides(self) -> tuple[int, ...] | None:
        """Steps in elements if the first dimension is the fastest; None for row-major order."""
        if not self.is_fortran or sum(size > 1 for size in self.shape) < 2 or 0 in self.shape:
            return None
        return tuple(math.prod(self.shape[:dimension]) for dimension in range(len(self.shape)))


def read_array(path: Location, name: str) -> Checkpoint:
    """Return the array in the file at `path`, under the name of the file.

    Raises:
        ParamtoolError: if it is not a valid ``.npy`` file.
    """
    with opened(path) as file:
        size = file.size
        head = _head(file, 0, size)
    try:
        found = _stored(path.stem, _describe(head), path, 0, size)
    except ValueError as error:
        raise ParamtoolError(f"{path} is not a valid NumPy array: {error}") from error
    rest = ignored(size - found.position - found.nbytes, "numpy.load")
    return Checkpoint(name, (found,), format="NumPy", notes=rest)


def read_arrays(path: Location, name: str) -> Checkpoint:
    """Return the arrays in the archive at `path`; those that are compressed have no values.

    Raises:
        ParamtoolError: if it is not a valid ``.npz`` file.
    """
    with opened(path) as file:
        members = read_members(file)
        arrays = {each: member for each, member in members.items() if each.endswith(ARRAY)}
        if len(arrays) > MOST_NAMES:
            raise ParamtoolError(f"{path} has more than {MOST_NAMES:,} arrays")
        tensors = tuple(_in_archive(file, arrays))
    others = (
        ContentRow(each, "file", nbytes=member.size) for each, member in members.items() if each not in arrays
    )
    return Checkpoint(name, tensors, format="NumPy archive", contents=tuple(others))


def _in_archive(file: OpenFile, members: Mapping[str, Member]) -> Iterator[Stored]:
    for name, member in members.items():
        head = _head(file, member.position, member.size)
        try:
            if member.compressed:
                found = _describe(zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, LONGEST_HEADER))
                found = replace(found, is_fortran=False, missing=found.missing or "compressed in its archive")
                yield _stored(name.removesuffix(ARRAY), found, file.path, member.position, None)
            else:
                yield _stored(
                    name.removesuffix(ARRAY), _describe(head), file.path, member.position, member.size
                )
        except (ValueError, zlib.error) as error:
            raise ParamtoolError(f"{file.path} has an invalid array '{shorten(name)}': {error}") from error


def _head(file: OpenFile, position: int, size: int) -> bytes:
    """Return the first bytes of an array: few, unless its header needs more."""
    head = file.read(position, min(size, _USUAL_HEADER))
    if size <= len(head) or (head.startswith(NUMPY) and head.find(b"\n") > 0):
        return head
    return file.read(position, min(size, LONGEST_HEADER))


def _stored(name: str, found: _Described, path: Location, position: int, size: int | None) -> Stored:
    """Return the tensor; `size` is how many bytes there are from `position` on, if that is known."""
    nbytes = math.prod(found.shape) * found.itemsize
    if size is not None and not found.itemsize:
        nbytes = size - found.start
    elif size is not None and found.start + nbytes > size:
        raise ValueError(
            f"its shape needs {nbytes:,} bytes, and it has {size - found.start:,}; it was cut off"
        )
    return Stored(
        name, found.dtype, found.shape, nbytes, path, position + found.start,
        strides=None if found.missing else found.strides, missing=found.missing,
    )  # fmt: skip


def _describe(head: bytes) -> _Described:
    """Return what the first bytes of an array say."""
    wide = 4 if head[6:7] in (b"\x02", b"\x03") else 2
    if head[:6] != NUMPY or head[6:7] not in (b"\x01", b"\x02", b"\x03") or len(head) < 8 + wide:
        raise ValueError("it does not begin like one")
    start = 8 + wide + int.from_bytes(head[8 : 8 + wide], "little")
    if start > len(head):
        raise ValueError("its header is cut off or too long")
    text = head[8 + wide : start].decode("latin-1" if head[6:7] != b"\x03" else "utf-8")
    fields = _FIELDS.fullmatch(text)
    if fields is not None:
        return _Described("structured", 0, _sizes(fields["shape"], 0), False, start, "of a structured dtype")
    shape, fortran = _SHAPE.search(text), _FORTRAN.search(text)
    if not _PLAIN.fullmatch(text) or shape is None or fortran is None:
        raise ValueError("its header is not of NumPy's form")
    dtype, itemsize, missing = _dtype(_DESCR.search(text))
    sizes = _sizes(shape["shape"], itemsize)
    return _Described(dtype, itemsize, sizes, fortran["fortran"] == "True", start, missing)


def _dtype(descr: re.Match[str] | None) -> tuple[str, int, str | None]:
    """Return the name of a dtype, the bytes of an element (0 if unknown), and why it has no values."""
    if descr is None:
        raise ValueError("its header is not of NumPy's form")
    order, kind, digits, unit = descr.groups()
    if kind == "O":
        return "object", 0, "pickled objects, which are not read"
    size = int(digits[:10] or 0) * (4 if kind == "U" else 1)
    known = None if unit else _DTYPES.get(f"{kind}{digits}")
    if known is None:
        return shorten(f"{order}{kind}{digits}{unit}", 20), size, "of a dtype that torch does not have"
    return known, size, "in big-endian order" if order == ">" and size > 1 else None


def _sizes(text: str, itemsize: int) -> tuple[int, ...]:
    words = [word.strip().removesuffix("L") for word in text.split(",")]
    words = words[:-1] if words and not words[-1] else words
    if len(words) > MOST_DIMENSIONS or any(not word.isdecimal() or len(word) > 19 for word in words):
        raise ValueError("its shape is not one of an array")
    sizes = tuple(int(word) for word in words)
    if math.prod(max(each, 1) for each in sizes) * max(itemsize, 1) >= 2**63:
        raise ValueError("no memory holds its shape")
    return sizes
