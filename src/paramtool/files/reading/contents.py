"""What a pickle holds beside the tensors that are listed, for people: types, counts, short values."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from typing import Any

from paramtool.errors import shorten
from paramtool.files.reading.pickled_arrays import scalar
from paramtool.files.reading.pickled_tree import Tree, is_container, type_text
from paramtool.files.reading.pickled_values import Name, Object, PickledTensor
from paramtool.records.contents import ContentRow

MOST_PARTS = 1_000
"""Parts that are told; a dict may have any number of entries that are no tensors."""

_LONGEST = 60
_FORMS = {"float64": "d", "float32": "f", "float16": "e", "int64": "q", "int32": "i", "int16": "h",
          "int8": "b", "uint8": "B", "bool": "?"}  # fmt: skip

Read = Callable[[PickledTensor], "bytes | None"]
"""Gives the bytes of a tensor of one element, where they can be read."""


def parts(
    tree: Tree, rest: Iterable[tuple[str, Any]], nbytes: Callable[[PickledTensor], int], read: Read
) -> list[ContentRow]:
    """Return a part for each of `rest`, of which there may be `MOST_PARTS`.

    Args:
        tree: walks and counts.
        rest: values by their names.
        nbytes: gives the bytes of a tensor.
        read: gives those of a small one.
    """
    found: list[ContentRow] = []
    for name, value in rest:
        if len(found) == MOST_PARTS:
            break
        tensors = tree.all_tensors(value)
        size = sum(nbytes(each) for each in tensors)
        kind, text = described(value)
        if isinstance(value, PickledTensor):
            text = _one_element(value, read)
        found.append(ContentRow(shorten(name, 200), kind, len(tensors), size, text))
    return found


def described(value: Any) -> tuple[str, str | None]:
    """Return the class of a value, and the value as text where it is short plain data."""
    known = scalar(value) if isinstance(value, Object) else None
    if known is not None:
        return known[0], known[1] or None
    text = _text(value)
    return type_text(value), text if text is None else shorten(text, _LONGEST)


def _text(value: Any) -> str | None:
    if isinstance(value, (list, tuple)):
        return _list_text(value)
    if isinstance(value, Object):
        return _object_text(value)
    if isinstance(value, Name):
        return value.words
    return _scalar_text(value)


def _scalar_text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return bytes(value[: _LONGEST + 1]).decode("ascii", "backslashreplace")
    if isinstance(value, int) and value.bit_length() > 256:
        return None
    return str(value) if value is None or isinstance(value, (bool, int, float, str)) else None


def _list_text(value: list[Any] | tuple[Any, ...]) -> str | None:
    """Return a short list of plain data as Python writes it."""
    if len(value) > 16 or any(is_container(each) for each in value):
        return None
    words = [_scalar_text(each) for each in value]
    if None in words or sum(len(word or "") + 2 for word in words) > _LONGEST:
        return None
    inside = ", ".join(word or "" for word in words)
    return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(words) == 1)})"


def _object_text(value: Object) -> str | None:
    """Return what an object is made of, where that is little: a path, an enum, a device."""
    if value.words.startswith(("pathlib.", "builtins.str")):
        words = [each for each in value.arguments if isinstance(each, str)]
        return "/".join(words).replace("//", "/") if words else None
    if value.words == "builtins.int" and [type(each) for each in value.arguments] == [int]:
        return f"an integer of {value.arguments[0]:,} bytes"  # too long to be kept
    if value.state is not None or value.items or value.entries or not value.arguments:
        return None
    inside = _list_text(value.arguments)
    return None if inside is None else f"{value.words.rpartition('.')[2]}{inside.replace(',)', ')')}"


def _one_element(tensor: PickledTensor, read: Read) -> str | None:
    """Return the value of a tensor of one element."""
    form = _FORMS.get(tensor.dtype or "")
    is_one = isinstance(tensor.shape, tuple) and all(type(each) is int for each in tensor.shape)
    if form is None or tensor.missing or not is_one or math.prod(tensor.shape) != 1:
        return None
    content = read(tensor)
    if content is None or len(content) != struct.calcsize(form):
        return None
    (number,) = struct.unpack(f"<{form}", content)
    return f"{number:.7g}" if isinstance(number, float) and form != "d" else str(number)
