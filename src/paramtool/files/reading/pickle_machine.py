"""Reading the pickle of a state_dict without running it: a machine that makes inert stand-ins.

Python's own unpickler imports and calls what a pickle names, and allocates what it says.  This one knows
the opcodes that torch.save writes, and the names that ``torch.load(weights_only=True)`` allows, for each
of which it makes a record of its own.  Any other name ends the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.pickled_calls import (
    KNOWN,
    OTHER,
    Broken,
    Name,
    Storage,
    called,
    dict_key,
)
from paramtool.files.reading.pickled_globals import CONTAINERS, STORAGES

LARGEST = 1 << 27
"""Bytes of a pickle."""

MOST_STEPS = 5_000_000
"""Opcodes of a pickle; a tensor has about 35."""

_HINT = "nothing was run; save its state_dict again, as in torch.save(model.state_dict(), …)"
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


def read_pickle(data: bytes) -> Any:
    """Return what `data` describes: dicts, lists, tuples, scalars and stand-ins.

    Raises:
        ParamtoolError: for a pickle that names anything which is no part of a state_dict, or that is
            broken or too large.
    """
    try:
        return _Machine(data).run()
    except (Broken, LookupError, struct.error, TypeError, ValueError, RecursionError) as error:
        raise ParamtoolError("its pickle is broken, or of a kind that torch.save does not write") from error


class _Machine:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._steps = 0

    def run(self) -> Any:
        while self._steps < MOST_STEPS:
            code = self._data[self._at]
            self._at += 1
            self._steps += 1
            if code == 0x2E:  # STOP
                return self._stack.pop()
            _OPCODES[code](self)
        raise ParamtoolError(f"its pickle takes more than {MOST_STEPS:,} steps")

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise Broken
        self._at += count
        return taken

    def _number(self, form: struct.Struct) -> Any:
        (number,) = form.unpack(self._take(form.size))
        return number

    def _line(self) -> str:
        end = self._data.index(b"\n", self._at, self._at + 1000)
        line, self._at = self._data[self._at : end], end + 1
        return line.decode()

    def _to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    # opcodes, by the names of pickletools

    def proto(self) -> None:
        self._take(1)

    def mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def binunicode(self) -> None:
        self._stack.append(self._take(self._number(_U32)).decode("utf-8", "surrogatepass"))

    def short_binstring(self) -> None:
        self._stack.append(self._take(self._number(_U8)))

    def long1(self) -> None:
        self._stack.append(int.from_bytes(self._take(self._number(_U8)), "little", signed=True))

    def binput(self) -> None:
        self._memo[self._number(_U8)] = self._stack[-1]

    def long_binput(self) -> None:
        self._memo[self._number(_U32)] = self._stack[-1]

    def binget(self) -> None:
        self._stack.append(self._memo[self._number(_U8)])

    def long_binget(self) -> None:
        self._stack.append(self._memo[self._number(_U32)])

    def tuple_(self) -> None:
        items = self._to_mark()
        self._stack.append(tuple(items))

    def tuple1(self) -> None:
        self._stack[-1:] = [(self._stack[-1],)]

    def tuple2(self) -> None:
        self._stack[-2:] = [(self._stack[-2], self._stack[-1])]

    def tuple3(self) -> None:
        self._stack[-3:] = [(self._stack[-3], self._stack[-2], self._stack[-1])]

    def append(self) -> None:
        item = self._stack.pop()
        self._put([item])

    def appends(self) -> None:
        self._put(self._to_mark())

    def _put(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise Broken
        target.extend(items)

    def setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def setitems(self) -> None:
        self._set(self._to_mark())

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise Broken
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[dict_key(key)] = value

    def build(self) -> None:
        self._stack.pop()  # attributes, of which no tensor is one
        _ = self._stack[-1]

    def global_(self) -> None:
        module, name = self._line(), self._line()
        words = f"{_OLD_MODULES.get(module, module)}.{name}"
        if words not in KNOWN:
            raise ParamtoolError(
                f"its pickle names {shorten(words)}, which is no part of a state_dict", hint=_HINT
            )
        self._stack.append(Name(words))

    def newobj(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Broken
        self._stack.append({} if function.words in CONTAINERS else OTHER)

    def reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Broken
        if function.words in CONTAINERS and arguments and isinstance(arguments[0], (list, tuple, dict)):
            self._steps += len(arguments[0])  # the same list may be copied again and again
        self._stack.append(called(function.words, arguments))

    def binpersid(self) -> None:
        identity = self._stack.pop()
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] not in ("storage", b"storage"):
            raise Broken
        _, kind, key, _, numel = identity[:5]
        if not isinstance(kind, Name) or kind.words not in STORAGES or type(numel) is not int:
            raise Broken
        self._stack.append(Storage(STORAGES[kind.words], _text(key), numel))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if not isinstance(value, str):
        raise Broken
    return value


_U8, _U16, _U32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I")
_I32, _F64 = struct.Struct("<i"), struct.Struct(">d")


def _push(make: Callable[[], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine._stack.append(make())


def _push_number(form: struct.Struct) -> Callable[[_Machine], None]:
    return lambda machine: machine._stack.append(machine._number(form))


_OPCODES: dict[int, Callable[[_Machine], None]] = {
    ord(code): method
    for code, method in {
        "\x80": _Machine.proto, "(": _Machine.mark, "c": _Machine.global_, "\x81": _Machine.newobj,
        "R": _Machine.reduce, "b": _Machine.build, "a": _Machine.append, "e": _Machine.appends,
        "s": _Machine.setitem, "u": _Machine.setitems, "t": _Machine.tuple_, "\x85": _Machine.tuple1,
        "\x86": _Machine.tuple2, "\x87": _Machine.tuple3, "X": _Machine.binunicode,
        "U": _Machine.short_binstring, "Q": _Machine.binpersid, "h": _Machine.binget,
        "j": _Machine.long_binget, "q": _Machine.binput, "r": _Machine.long_binput, "\x8a": _Machine.long1,
        "N": _push(lambda: None), "\x88": _push(lambda: True), "\x89": _push(lambda: False),
        ")": _push(tuple), "]": _push(list), "}": _push(dict), "\x8f": _push(lambda: OTHER),
        "J": _push_number(_I32), "K": _push_number(_U8), "M": _push_number(_U16), "G": _push_number(_F64),
    }.items()
}  # fmt: skip
"""Those that ``torch.load(weights_only=True)`` takes."""
