"""Reading the JSON of a safetensors header strictly, tensor by tensor, since files come from strangers.

A header may have 100 MB, and JSON of that size any number of objects.  So it is not parsed as a whole:
names and texts are read one by one, and what describes a tensor is short.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from paramtool.errors import shorten
from paramtool.files.reading.checkpoint import MOST_NAMES
from paramtool.files.safetensors_format import DTYPES, METADATA, PAIRS

MOST_DIMENSIONS = 64
"""As many as torch's own kernels take."""

LONGEST_DESCRIPTION = 4096
"""Characters that say what one tensor is; 64 sizes have 1,300."""

_FIELDS = {"dtype", "shape", "data_offsets"}
_DTYPES = {code: (name, size) for name, (code, size) in DTYPES.items()} | {
    code: (name, 1) for code, name in PAIRS.items()
}
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Described:
    """One tensor as a header has it: torch's name of its dtype, and the bytes of the data that it is."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def parse_header(text: str) -> tuple[list[Described], dict[str, str]]:
    """Return the tensors, in the order of the text, and the metadata.

    Raises:
        ValueError: for what is no header, with a line on what is wrong.
    """
    found: dict[str, Described] = {}
    metadata: dict[str, str] | None = None
    cursor = _Cursor(text)
    for name in cursor.items():
        if name == METADATA:
            if metadata is not None:
                raise ValueError("its metadata come twice")
            metadata = _metadata(cursor)
        elif name in found:
            raise ValueError(f"the tensor '{shorten(name)}' comes twice")
        elif len(found) == MOST_NAMES:
            raise ValueError(f"it has more than {MOST_NAMES:,} tensors")
        else:
            found[name] = _described(name, cursor)
    cursor.end()
    return list(found.values()), metadata or {}


def _metadata(cursor: _Cursor) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key in cursor.items():
        if key in texts:
            raise ValueError(f"'{shorten(key)}' comes twice in its metadata")
        if len(texts) == MOST_NAMES:
            raise ValueError(f"its metadata have more than {MOST_NAMES:,} entries")
        texts[key] = cursor.string()
    return texts


def _described(name: str, cursor: _Cursor) -> Described:
    try:
        value = cursor.small_object()
        if value.keys() != _FIELDS:
            raise ValueError("it has other fields than dtype, shape and data_offsets")
        dtype, size = _dtype(value["dtype"])
        shape = _integers(value["shape"], "shape")
        if dtype in PAIRS.values():
            shape = _of_pairs(shape)
        offsets = _integers(value["data_offsets"], "data_offsets")
        _check_place(shape, offsets, size)
    except ValueError as error:
        raise ValueError(f"the tensor '{shorten(name)}': {error}") from error
    return Described(name, dtype, shape, *offsets)


def _dtype(value: object) -> tuple[str, int]:
    known = _DTYPES.get(value) if isinstance(value, str) else None
    if known is None:
        raise ValueError(f"torch has no dtype {shorten(str(value))}")
    return known


def _of_pairs(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that torch has for pairs of elements."""
    if not shape or shape[-1] % 2:
        raise ValueError("its last size is odd, and two elements share a byte")
    return (*shape[:-1], shape[-1] // 2)


def _integers(value: object, what: str) -> tuple[int, ...]:
    if not (isinstance(value, list) and all(type(each) is int for each in value)):
        raise ValueError(f"its {what} is no list of integers")
    if any(not 0 <= each < 2**63 for each in value):
        raise ValueError(f"its {what} has a number below 0 or beyond 64 bits")
    return tuple(value)


def _check_place(shape: tuple[int, ...], offsets: tuple[int, ...], size: int) -> None:
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"{len(shape):,} dimensions; at most {MOST_DIMENSIONS}")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError("its data_offsets are no begin and end")
    extent, count = size, size
    for each in shape:
        extent, count = extent * max(each, 1), count * each
        if extent >= 2**63:  # torch's strides would overflow
            raise ValueError("no memory holds its shape")
    if count != offsets[1] - offsets[0]:
        raise ValueError(f"its shape needs {count:,} bytes, and it has {offsets[1] - offsets[0]:,}")


class _Cursor:
    """Goes through the text once, from value to value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def items(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; who asks for them reads each one's value."""
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return
        while True:
            key = self.string()
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def string(self) -> str:
        """Read a string.

        Raises:
            ValueError: where there is none, or one that is no Unicode.
        """
        if self._peek() != '"':
            raise self._unexpected('"')
        value, self._at = _PLAIN.raw_decode(self._text, self._at)
        if not value.isascii():
            value.encode()  # which refuses half of a surrogate pair
        return str(value)

    def small_object(self) -> dict[str, Any]:
        """Read an object with no other in it, in which no key comes twice."""
        if self._peek() != "{":
            raise self._unexpected("{")
        end = self._text.find("}", self._at, self._at + LONGEST_DESCRIPTION) + 1
        if not end:
            raise ValueError(f"its description is longer than {LONGEST_DESCRIPTION:,} characters")
        piece, self._at = self._text[self._at : end], end
        return dict(_STRICT.decode(piece))

    def end(self) -> None:
        """See that nothing but space follows."""
        if self._peek():
            raise self._unexpected("the end")

    def _peek(self) -> str:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, characters: str) -> str:
        found = self._peek()
        if not found or found not in characters:
            raise self._unexpected(" or ".join(characters))
        self._at += 1
        return found

    def _unexpected(self, expected: str) -> ValueError:
        found = self._text[self._at : self._at + 1] or "nothing"
        return ValueError(f"expected {expected} at character {self._at:,} of its header, found {found}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a field comes twice")
    return dict(pairs)


def _no_number(word: str) -> Any:
    raise ValueError(f"{shorten(word)} is no integer")


_PLAIN = json.JSONDecoder()
_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_float=_no_number, parse_constant=_no_number)
