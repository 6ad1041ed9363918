"""Reading the pickle of a state_dict without running it: a machine that makes inert stand-ins.

Python's own unpickler imports and calls what a pickle names, and allocates what it says.  This one knows
the opcodes that torch.save writes, and the names that ``torch.load(weights_only=True)`` allows, for each
of which it makes a record of its own.  Any other name ends the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.pickled_globals import CONTAINERS, DTYPES, OPAQUE, STORAGES, UNREADABLE

LARGEST = 1 << 27
"""Bytes of a pickle."""

MOST_STEPS = 10_000_000
"""Opcodes of a pickle; a tensor has about 35."""

_HINT = "nothing was run; save its state_dict again, as in torch.save(model.state_dict(), …)"
_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


@dataclass(frozen=True)
class Storage:
    """The memory of a tensor: a member of the archive, and how many elements (or bytes) it has."""

    dtype: str | None
    key: str
    numel: int


@dataclass(frozen=True)
class PickledTensor:
    """One tensor as it was pickled; `unreadable` says why its elements cannot be had."""

    storage: Any = None
    offset: Any = 0
    shape: Any = ()
    strides: Any = ()
    dtype: str | None = None
    requires_grad: bool | None = None
    unreadable: str | None = None


@dataclass(frozen=True)
class Name:
    """What stands for a class or function: the words it goes by."""

    words: str


class Opaque:
    """What stands for everything that is no tensor and no container of any."""


OTHER = Opaque()


class _Broken(Exception):
    """Raised where the pickle is none."""


def read_pickle(data: bytes) -> Any:
    """Return what `data` describes: dicts, lists, tuples, scalars and stand-ins.

    Raises:
        ParamtoolError: for a pickle that names anything which is no part of a state_dict, or that is
            broken or too large.
    """
    try:
        return _Machine(data).run()
    except (_Broken, LookupError, struct.error, TypeError, ValueError, RecursionError) as error:
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
            raise _Broken
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
            raise _Broken
        target.extend(items)

    def setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def setitems(self) -> None:
        self._set(self._to_mark())

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise _Broken
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

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
            raise _Broken
        self._stack.append({} if function.words in CONTAINERS else OTHER)

    def reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise _Broken
        if function.words in CONTAINERS and arguments and isinstance(arguments[0], (list, tuple, dict)):
            self._steps += len(arguments[0])  # the same list may be copied again and again
        self._stack.append(_called(function.words, arguments))

    def binpersid(self) -> None:
        identity = self._stack.pop()
        if not isinstance(identity, tuple) or len(identity) < 5 or identity[0] not in ("storage", b"storage"):
            raise _Broken
        _, kind, key, _, numel = identity[:5]
        if not isinstance(kind, Name) or kind.words not in STORAGES or type(numel) is not int:
            raise _Broken
        self._stack.append(Storage(STORAGES[kind.words], _text(key), numel))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii")
    if not isinstance(value, str):
        raise _Broken
    return value


def _key(value: Any) -> Any:
    """Return a key that hashes well: tuples in tuples take for ever, and chosen integers collide."""
    is_small = isinstance(value, int) and -_SMALL <= value < _SMALL
    return value if isinstance(value, (str, bytes)) or is_small else Opaque()


def _called(words: str, arguments: tuple[Any, ...]) -> Any:
    """Return what stands for the result of a call."""
    if words in _CALLS:
        return _CALLS[words](arguments)
    if words in CONTAINERS:
        return _pairs(arguments)
    if words in UNREADABLE:
        return PickledTensor(unreadable=UNREADABLE[words])
    return OTHER


def _pairs(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return an OrderedDict, which Python 2 pickled with its items as a list of pairs."""
    items = arguments[0] if arguments else ()
    if isinstance(items, dict):
        return dict(items)
    if not (isinstance(items, (list, tuple)) and all(_is_pair(item) for item in items)):
        raise _Broken
    return {_key(key): value for key, value in items}


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == 2


def _tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_tensor_v2``, whose last argument tells of conjugate and negative views."""
    storage, offset, shape, strides, *rest = arguments
    views = rest[2] if len(rest) > 2 else None
    if isinstance(views, dict) and (len(views) > 2 or any(views.values())):
        return PickledTensor(unreadable="a conjugated or negated view")
    if not isinstance(storage, Storage):
        raise _Broken
    unreadable = None if storage.dtype else "without a dtype"
    return PickledTensor(storage, offset, shape, strides, storage.dtype, unreadable=unreadable)


def _tensor_v3(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_tensor_v3``, whose storage has bytes."""
    storage, offset, shape, strides, _, _, dtype, *_ = arguments
    if not isinstance(storage, Storage) or not isinstance(dtype, Name):
        raise _Broken
    name = dtype.words.removeprefix("torch.")
    unreadable = None if name in DTYPES else f"of the dtype {name}"
    return PickledTensor(storage, offset, shape, strides, name, unreadable=unreadable)


def _parameter(arguments: tuple[Any, ...]) -> PickledTensor:
    data, *rest = arguments
    if not isinstance(data, PickledTensor):
        raise _Broken
    return replace(data, requires_grad=bool(rest[0]) if rest else True)


def _of_type(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``_rebuild_from_type_v2``: a subclass, or a tensor with attributes."""
    function, _, inner, *_ = arguments
    if not isinstance(function, Name) or not isinstance(inner, tuple):
        raise _Broken
    return _called(function.words, inner)


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    (sizes,) = arguments or ((),)
    if not isinstance(sizes, tuple):
        raise _Broken
    return sizes


_CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.Size": _size,
}
KNOWN = frozenset(
    (*_CALLS, *CONTAINERS, *UNREADABLE, *STORAGES, *OPAQUE, *(f"torch.{each}" for each in DTYPES))
)

_SMALL = 1 << 32
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
        ")": _push(tuple), "]": _push(list), "}": _push(dict), "\x8f": _push(Opaque),
        "J": _push_number(_I32), "K": _push_number(_U8), "M": _push_number(_U16), "G": _push_number(_F64),
    }.items()
}  # fmt: skip
"""Those that ``torch.load(weights_only=True)`` takes."""
