"""Reading the JSON of a safetensors header from value to value, strictly and in bounded memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from paramtool.errors import shorten
from paramtool.files.reading.json_guard import TOO_DEEP

LONGEST_DESCRIPTION = 4096
"""Characters that say what one tensor is; 64 sizes have 1,300."""

_FIELDS = ("dtype", "shape", "data_offsets")
_SPACE = re.compile(r"[ \t\n\r]*")


class Cursor:
    """Goes through the text once, from value to value."""

    def __init__(self, text: str, at: int = 0) -> None:
        self._text = text
        self._at = at

    @property
    def at(self) -> int:
        """The character that comes next."""
        return self._at

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
            ValueError: if there is none, or one that is not Unicode.
        """
        if self._peek() != '"':
            raise self._unexpected('"')
        value, self._at = _PLAIN.raw_decode(self._text, self._at)
        if not value.isascii():
            value.encode()  # which refuses half of a surrogate pair
        return str(value)

    def null(self) -> bool:
        """Read a null if one is next, and say whether it was."""
        self._peek()
        is_null = self._text.startswith("null", self._at)
        self._at += 4 if is_null else 0
        return is_null

    def description(self) -> dict[str, Any]:
        """Read what describes a tensor: an object, or a list of the same three values in their order."""
        if self._peek() not in ("{", "["):
            raise self._unexpected("{")
        end = self._text.find("}", self._at, self._at + LONGEST_DESCRIPTION) + 1
        piece = self._text[self._at : end]
        try:
            if end and piece.count("{") == 1 and "-" not in piece:
                value, size = _STRICT.decode(piece), len(piece)
            else:
                value, size = self._unusual()
        except RecursionError as error:
            raise ValueError(TOO_DEEP) from error
        self._at += size
        if isinstance(value, list) and len(value) == len(_FIELDS):
            value = dict(zip(_FIELDS, value, strict=True))
        if not isinstance(value, dict) or any(field not in value for field in _FIELDS):
            raise ValueError("it lacks one of dtype, shape and data_offsets")
        return value

    def _unusual(self) -> tuple[Any, int]:
        """Read a description with further fields, which the official library accepts."""
        piece = self._text[self._at : self._at + LONGEST_DESCRIPTION]
        try:
            return _LENIENT.raw_decode(piece)
        except json.JSONDecodeError as error:
            if len(piece) < LONGEST_DESCRIPTION or error.pos < len(piece) - 1:
                raise
            longest = f"its description is longer than {LONGEST_DESCRIPTION:,} characters"
            raise ValueError(longest) from error

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


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) and any([key for key, _ in pairs].count(each) > 1 for each in _FIELDS):
        raise ValueError("a field appears twice")
    return found


def _integer(digits: str) -> int | float:
    return -0.0 if digits == "-0" else int(digits)  # as serde_json reads it, which is not a size


def _no_number(word: str) -> Any:
    raise ValueError(f"{shorten(word)} is not a number")


_PLAIN = json.JSONDecoder()
_STRICT = json.JSONDecoder(object_pairs_hook=_fields_once, parse_constant=_no_number)
_LENIENT = json.JSONDecoder(object_pairs_hook=_fields_once, parse_int=_integer, parse_constant=_no_number)
