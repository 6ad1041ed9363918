"""NumPy's arrays and scalars in a pickle: their bytes are in the pickle itself."""

from __future__ import annotations

import re
import struct
from typing import Any

from paramtool.files.reading.pickled_values import Bytes, Object, PickledTensor, Room, Storage

RECONSTRUCT = re.compile(r"numpy\.(_?core)\.multiarray\._reconstruct")
FROM_BUFFER = re.compile(r"numpy\.(_?core)\.numeric\._frombuffer")
SCALAR = re.compile(r"numpy\.(_?core)\.multiarray\.scalar")

_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_FORMS = {"f2": "e", "f4": "f", "f8": "d", "b1": "?"} | {
    f"{kind}{size}": code.upper() if kind == "u" else code
    for size, code in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
    for kind in "iu"
}


def array(value: Any) -> PickledTensor | None:
    """Return the array that an object stands for, as a tensor; None if it is not one torch could have."""
    if not isinstance(value, Object):
        return None
    if RECONSTRUCT.fullmatch(value.words):
        return _of_state(value)
    if FROM_BUFFER.fullmatch(value.words) and len(value.arguments) == 4:
        data, kind, shape, order = value.arguments
        if isinstance(data, Object) and len(data.arguments) == 1:  # a bytearray
            data = data.arguments[0]
        return _made(kind, shape, order == "F", data)
    return None


def is_array(value: Object) -> bool:
    """Tell whether an object stands for an array of any dtype."""
    return bool(RECONSTRUCT.fullmatch(value.words) or FROM_BUFFER.fullmatch(value.words))


def _of_state(value: Object) -> PickledTensor | None:
    if not isinstance(value.state, tuple) or len(value.state) != 5:
        return None
    _, shape, kind, is_fortran, data = value.state
    return _made(kind, shape, bool(is_fortran), data)


def _made(kind: Any, shape: Any, is_fortran: bool, data: Any) -> PickledTensor | None:
    code, order = _dtype(kind)
    dtype = _torch_name(code)
    if dtype is None or not isinstance(shape, tuple) or not all(type(each) is int for each in shape):
        return None
    missing: str | None = "in a text of the pickle"
    room = None
    if isinstance(data, Bytes) and data.position is not None:
        room, missing = Room(data.position, data.size), None
    if order == ">" and code[1:] != "1":
        missing = "written by a big-endian machine"
    size = int(code[1:])
    numel = room.size // size if room else 0
    storage = Storage(dtype, f"array at {room.position}", numel, room=room) if room else None
    strides = _strides(shape, is_fortran)
    return PickledTensor(storage, 0, shape, strides, dtype, missing=missing, is_array=True)


def _strides(shape: tuple[int, ...], is_fortran: bool) -> tuple[int, ...]:
    strides: list[int] = []
    step = 1
    for size in shape if is_fortran else reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(strides if is_fortran else reversed(strides))


def scalar(value: Object) -> tuple[str, str] | None:
    """Return the name of a NumPy scalar's class and its value as text; None for any other object."""
    if not SCALAR.fullmatch(value.words) or len(value.arguments) != 2:
        return None
    code, order = _dtype(value.arguments[0])
    content = value.arguments[1]
    form = _FORMS.get(code)
    name = "numpy.bool" if code == "b1" else f"numpy.{_KINDS.get(code[:1], code)}{_bits(code)}"
    if form is None or not isinstance(content, bytes) or len(content) != int(code[1:]):
        return name, ""
    (number,) = struct.unpack(f"{'>' if order == '>' else '<'}{form}", content)
    return name, str(number)


def _dtype(value: Any) -> tuple[str, str]:
    """Return the code of a ``numpy.dtype`` as ``f4``, and its byte order."""
    if not isinstance(value, Object) or value.words != "numpy.dtype" or not value.arguments:
        return "", ""
    code = value.arguments[0]
    text = code.decode("ascii", "replace") if isinstance(code, bytes) else code
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "<"
    text = text if isinstance(text, str) and re.fullmatch(r"[a-zA-Z][0-9]{1,3}", text) else ""
    return text, ">" if order in (">", b">") else "<"


def _torch_name(code: str) -> str | None:
    if code == "b1":
        return "bool"
    known = code in _FORMS or code in ("c8", "c16")
    return f"{_KINDS[code[0]]}{_bits(code)}" if known else None


def _bits(code: str) -> str:
    return str(8 * int(code[1:])) if code[1:].isdigit() else ""
