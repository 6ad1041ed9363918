"""Open a GGUF file, versions 2 and 3: names, shapes, types and metadata.  Nothing is dequantized.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES, Checkpoint, Stored
from paramtool.files.reading.gguf_types import ARRAY, NAMES, PLAIN, QUANTIZED, SCALARS, STRING
from paramtool.files.reading.open_file import Location, OpenFile, opened
from paramtool.files.reading.signatures import GGUF
from paramtool.records.contents import ContentRow

LARGEST_HEADER = 1 << 27
"""Bytes before the tensors; the largest vocabularies have 20 million."""

MOST_DIMENSIONS = 8
_LONGEST_TEXT = 1 << 24
_MOST_ITEMS = 1 << 21
"""Texts and arrays in arrays; the largest vocabularies have 300,000 texts and twice as many merges."""

_PIECE = 1 << 20
_DEEPEST = 4


def read_gguf(path: Location, name: str) -> Checkpoint:
    """Return the tensors in the file at `path`, with sizes in torch's order, which is the other one.

    Raises:
        ParamtoolError: if it is not a valid GGUF file of version 2 or 3.
    """
    with opened(path) as file:
        try:
            return _read(_Cursor(file), name)
        except (ValueError, struct.error) as error:
            raise ParamtoolError(f"{path} is not a valid GGUF file: {error}") from error


def _read(cursor: _Cursor, name: str) -> Checkpoint:
    version = _version(cursor)
    count, pairs = cursor.number("Q"), cursor.number("Q")
    if count > MOST_NAMES or pairs > MOST_NAMES:
        raise ValueError(f"it has more than {MOST_NAMES:,} tensors or entries")
    metadata, arrays = _metadata(cursor, pairs)
    described = [_tensor(cursor) for _ in range(count)]
    alignment = int(metadata.get("general.alignment", "32"))
    if not 0 < alignment < 1 << 20:
        raise ValueError(f"its alignment is {alignment:,}")
    start = -(-cursor.at // alignment) * alignment
    tensors = tuple(each.placed(cursor, start) for each in described)
    if len({each.name for each in tensors}) < count:
        raise ValueError("two of its tensors have the same name")
    order = ", big-endian" if cursor.order == ">" else ""
    return Checkpoint(
        name, tensors, metadata=metadata, format=f"GGUF version {version}{order}", contents=tuple(arrays)
    )


def _version(cursor: _Cursor) -> int:
    if cursor.take(4) == GGUF[1]:
        cursor.order = ">"
    version = int(cursor.number("I"))
    if cursor.order == "<" and version & 0xFFFF == 0:  # as big-endian files began before "FUGG"
        cursor.order, version = ">", int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in (2, 3):
        raise ValueError(f"it has version {version:,}; only 2 and 3 are supported")
    return version


def _metadata(cursor: _Cursor, pairs: int) -> tuple[dict[str, str], list[ContentRow]]:
    """Return what has one value, and a part for each array."""
    values: dict[str, str] = {}
    arrays: list[ContentRow] = []
    keys: set[str] = set()
    for _ in range(pairs):
        key, kind = cursor.text(), cursor.number("I")
        if key in keys:
            raise ValueError(f"'{shorten(key)}' appears twice in its metadata")
        keys.add(key)
        if kind == ARRAY:
            start = cursor.at
            what = cursor.array()
            arrays.append(ContentRow(key, what, nbytes=cursor.at - start))
        else:
            values[key] = cursor.value(kind)
    return values, arrays


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int

    def placed(self, cursor: _Cursor, start: int) -> Stored:
        """Return the tensor at its place, which begins `offset` bytes after `start`."""
        dtype, nbytes, missing = self._elements()
        if cursor.order == ">" and missing is None and PLAIN[self.kind][1] > 1:
            missing = "in big-endian order"
        if start + self.offset + nbytes > cursor.size:
            raise ValueError(f"the tensor '{shorten(self.name)}' reaches beyond its end; it was cut off")
        return Stored(self.name, dtype, self.shape, nbytes, cursor.path, start + self.offset, missing=missing)

    def _elements(self) -> tuple[str, int, str | None]:
        """Return the dtype, the bytes, and why there are no values."""
        count = math.prod(self.shape)
        if self.kind in PLAIN:
            dtype, size = PLAIN[self.kind]
            return dtype, count * size, None
        if self.kind not in QUANTIZED:
            raise ValueError(f"the tensor '{shorten(self.name)}' is of the unknown type {self.kind}")
        dtype, block, size = QUANTIZED[self.kind]
        if (self.shape[-1] if self.shape else 1) % block:
            raise ValueError(
                f"the tensor '{shorten(self.name)}' is {dtype}, and its rows are not whole blocks"
            )
        return dtype, count // block * size, f"quantized as {dtype}, which is not dequantized"


def _tensor(cursor: _Cursor) -> _Tensor:
    name, dimensions = cursor.text(), cursor.number("I")
    if dimensions > MOST_DIMENSIONS:
        raise ValueError(f"the tensor '{shorten(name)}' has {dimensions:,} dimensions")
    sizes = tuple(int(cursor.number("Q")) for _ in range(dimensions))
    if math.prod(max(each, 1) for each in sizes) >= 2**60:
        raise ValueError(f"no memory holds the shape of '{shorten(name)}'")
    return _Tensor(name, sizes[::-1], cursor.number("I"), cursor.number("Q"))


class _Cursor:
    """Goes through the header once, of which it holds a piece at a time."""

    def __init__(self, file: OpenFile) -> None:
        self.path = file.path
        self.size = file.size
        self.at = 0
        self.order = "<"
        self._file = file
        self._start = 0
        self._piece = b""
        self._items = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        begin = self.at - self._start
        if begin + count > len(self._piece) or begin < 0:
            if self.at + count > min(self.size, LARGEST_HEADER):
                what = "it was cut off" if self.at + count > self.size else "its header is too large"
                raise ValueError(what)
            length = min(max(count, _PIECE), self.size - self.at)
            self._start, begin = self.at, 0
            self._piece = self._file.read(self.at, length)
        self.at += count
        return self._piece[begin : begin + count]

    def number(self, code: str) -> int:
        """Return the next integer."""
        (found,) = struct.unpack(self.order + code, self.take(struct.calcsize("<" + code)))
        return int(found)

    def text(self) -> str:
        """Return the next text."""
        length = self.number("Q")
        if length > _LONGEST_TEXT:
            raise ValueError(f"a text of {length:,} bytes")
        return self.take(length).decode("utf-8", "backslashreplace")

    def value(self, kind: int) -> str:
        """Return the next value as text."""
        if kind == STRING:
            return self.text()
        if kind not in SCALARS:
            raise ValueError(f"metadata of the unknown type {kind:,}")
        code = SCALARS[kind]
        (found,) = struct.unpack(self.order + code, self.take(struct.calcsize("<" + code)))
        return str(found).lower() if code == "?" else str(found)

    def array(self, depth: int = 0) -> str:
        """Pass over an array, and return what it is: ``array of 32,000 strings``."""
        kind, count = self.number("I"), self.number("Q")
        self._items += 0 if kind in SCALARS else count
        if self._items > _MOST_ITEMS:
            raise ValueError(f"its metadata have more than {_MOST_ITEMS:,} texts")
        if kind in SCALARS:
            self._skip(count * struct.calcsize("<" + SCALARS[kind]))
        elif kind == STRING:
            for _ in range(count):
                self._skip(self.number("Q"))
        elif kind == ARRAY and depth < _DEEPEST:
            for _ in range(count):
                self.array(depth + 1)
        else:
            raise ValueError(f"an array of the unknown type {kind:,}")
        return f"array of {count:,} {NAMES[kind]}"

    def _skip(self, count: int) -> None:
        if self.at + count > min(self.size, LARGEST_HEADER):
            raise ValueError("its header is cut off or too large")
        self.at += count
