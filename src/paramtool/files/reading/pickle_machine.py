"""Reading a pickle without running it: a machine that makes inert stand-ins.

Python's own unpickler imports and calls what a pickle names, and allocates what it says.  This one knows
every opcode that Python writes, and makes a record of its own for whatever is named: a tensor for the calls
that torch.save writes, and an opaque object for anything else.
"""

from __future__ import annotations

import codecs
import gc
import struct
from collections.abc import Callable
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.pickle_bytes import PickleBytes, Span
from paramtool.files.reading.pickled_calls import called, made
from paramtool.files.reading.pickled_globals import OLD_MODULES
from paramtool.files.reading.pickled_storages import persistent
from paramtool.files.reading.pickled_values import (
    Broken,
    KnownDict,
    Members,
    Name,
    Object,
    Storage,
    dict_key,
)

MOST_STEPS = 16_000_000
"""Opcodes of a pickle in a small file, where one that makes a container counts as `_CONTAINER`.

A tensor has about 35.
"""

_CONTAINER = 3

LOAD = "torch.storage._load_from_bytes"
"""The function that ``pickle.dump`` writes for the memory of a tensor."""

_BYTES_A_STEP = 4
_HIGHEST_STEPS = 64_000_000


Load = Callable[[tuple[Any, ...]], "tuple[Any, int]"]


def read_pickle(
    span: Span, storages: dict[str, Storage] | None = None, load: Load | None = None
) -> tuple[Any, int]:
    """Return what the pickle at a place of a file describes, and where it ends.

    Args:
        span: where the pickle begins, and what may be read.
        storages: takes every storage that the pickle names, by its key.
        load: gives what stands for a call of `LOAD`, and the steps that it took.

    Returns:
        dicts, lists, tuples, scalars and stand-ins; and the byte after the pickle.

    Raises:
        ParamtoolError: for a pickle that is broken, or takes too long.
    """
    machine = _Machine(span, {} if storages is None else storages, load)
    collects = gc.isenabled()
    gc.disable()  # which would look at all that was made, again and again
    try:
        return machine.run(), machine.position
    except (Broken, LookupError, struct.error, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise ParamtoolError("its pickle is broken") from error
    finally:
        if collects:
            gc.enable()


class _Machine(PickleBytes):
    def __init__(self, span: Span, storages: dict[str, Storage], load: Load | None) -> None:
        super().__init__(span)
        self._load = load
        self._storages = storages
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._names: dict[str, Name] = {}
        self._steps = 0
        self._most = min(
            max(MOST_STEPS, (span.end - span.start) // _BYTES_A_STEP), max(MOST_STEPS, _HIGHEST_STEPS)
        )

    def run(self) -> Any:
        while self._steps < self._most:
            if self._at >= len(self._data):
                self._refill(1)
            code = self._data[self._at]
            self._at += 1
            self._steps += 1
            if code == 0x2E:  # STOP
                return self._stack.pop()
            OPCODES[code](self)
        raise ParamtoolError(f"its pickle takes more than {self._most:,} steps")

    def to_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    # opcodes, by the names of pickletools

    def mark(self) -> None:
        self._steps += _CONTAINER
        self._marks.append(self._stack)
        self._stack = []

    def pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.to_mark()

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def tuple_(self) -> None:
        items = self.to_mark()
        self._stack.append(tuple(items))

    def list_(self) -> None:
        items = self.to_mark()
        self._stack.append(items)

    def dict_(self) -> None:
        items = self.to_mark()
        self._stack.append({})
        self.set(items)

    def frozenset_(self) -> None:
        items = self.to_mark()
        self._stack.append(Members(items))

    def tuple_of(self, count: int) -> None:
        if len(self._stack) < count:
            raise Broken
        self._steps += _CONTAINER
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def append(self) -> None:
        item = self._stack.pop()
        self.put([item])

    def appends(self) -> None:
        self.put(self.to_mark())

    def put(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, Object):
            target.append(items)
        else:
            raise Broken

    def setitem(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self.set([key, value])

    def setitems(self) -> None:
        self.set(self.to_mark())

    def set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, (dict, Object)) or len(items) % 2:
            raise Broken
        put = target.put if isinstance(target, Object) else target.__setitem__
        for key, value in zip(items[::2], items[1::2], strict=True):
            put(dict_key(key), value)

    def build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, (Object, KnownDict)):
            target.state = state  # a tensor keeps none: attributes are not what is listed

    def global_(self) -> None:
        module, name = self._line().decode(), self._line().decode()
        self._stack.append(self.name(module, name))

    def stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Broken
        self._stack.append(self.name(module, name))

    def name(self, module: str, name: str) -> Name:
        words = f"{OLD_MODULES.get(module, module)}.{name}"
        return self._names.setdefault(words, Name(words))

    def extension(self) -> None:
        raise ParamtoolError("its pickle names classes by numbers of an extension registry (EXT)")

    def next_buffer(self) -> None:
        raise ParamtoolError("its pickle keeps bytes outside itself (NEXT_BUFFER)")

    def newobj(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self.make(function, arguments)

    def newobj_ex(self) -> None:
        _, arguments, function = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self.make(function, arguments)

    def obj(self) -> None:
        function, *arguments = self.to_mark()
        self.make(function, tuple(arguments))

    def inst(self) -> None:
        module, name = self._line().decode(), self._line().decode()
        arguments = tuple(self.to_mark())
        self.make(self.name(module, name), arguments)

    def make(self, function: Any, arguments: Any) -> None:
        self._steps += _CONTAINER
        if not isinstance(function, (Name, Object)) or not isinstance(arguments, tuple):
            raise Broken
        self._stack.append(made(function.words, arguments))

    def reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(arguments, tuple):
            raise Broken
        self._steps += _CONTAINER
        if arguments and isinstance(arguments[0], (list, tuple, dict)):
            self._steps += len(arguments[0])  # the same list may be copied again and again
        if isinstance(function, Object):  # a method, or what another call would return
            self._stack.append(Object(shorten(function.words), arguments))
        elif isinstance(function, Name) and function.words == LOAD and self._load is not None:
            found, cost = self._load(arguments)
            self._steps += cost
            self._stack.append(found)
        elif isinstance(function, Name):
            self._stack.append(called(function.words, arguments))
        else:
            raise Broken

    def binpersid(self) -> None:
        found = persistent(self._stack.pop())
        if isinstance(found, Storage):
            self._storages.setdefault(found.key, found)
        self._stack.append(found)

    def text_integer(self) -> None:
        line = self._line()
        self._stack.append(line == b"01" if line in (b"00", b"01") else _decimal(line))

    def text_string(self) -> None:
        line = self._line().strip()
        if len(line) < 2 or line[:1] not in (b"'", b'"'):
            raise Broken
        self._stack.append(bytes(codecs.escape_decode(line[1:-1])[0]))


def _decimal(line: bytes) -> int:
    if len(line) > 1000:
        raise Broken
    return int(line.strip().removesuffix(b"L"))


_U8, _U16, _U32, _U64 = (struct.Struct(each) for each in ("<B", "<H", "<I", "<Q"))
_I32, _F64 = struct.Struct("<i"), struct.Struct(">d")

_Step = Callable[[_Machine], None]


def _push(make: Callable[[_Machine], Any]) -> _Step:
    return lambda machine: machine._stack.append(make(machine))


def _constant(value: Any) -> _Step:
    return lambda machine: machine._stack.append(value)


def _container(kind: Callable[[], Any]) -> _Step:
    def step(machine: _Machine) -> None:
        machine._steps += _CONTAINER
        machine._stack.append(kind())

    return step


def _number(form: struct.Struct) -> _Step:
    return lambda machine: machine._stack.append(machine._number(form))


def _text(form: struct.Struct) -> _Step:
    return lambda machine: machine._stack.append(machine._text(machine._number(form)))


def _bytes(form: struct.Struct) -> _Step:
    def step(machine: _Machine) -> None:
        machine._steps += _CONTAINER  # each is an object with a place of its own
        machine._stack.append(machine._bytes(machine._number(form)))

    return step


def _put(index: Callable[[_Machine], int]) -> _Step:
    def step(machine: _Machine) -> None:
        machine._memo[index(machine)] = machine._stack[-1]

    return step


def _get(index: Callable[[_Machine], int]) -> _Step:
    return lambda machine: machine._stack.append(machine._memo[index(machine)])


def _byte(machine: _Machine) -> int:
    number: int = machine._number(_U8)
    return number


def _word(machine: _Machine) -> int:
    number: int = machine._number(_U32)
    return number


def _typed(machine: _Machine) -> int:
    return _decimal(machine._line())


def _twice(machine: _Machine) -> Any:
    return machine._stack[-1]


def _read_float(machine: _Machine) -> float:
    return float(machine._line())


def _read_unicode(machine: _Machine) -> str:
    return machine._line().decode("raw-unicode-escape")


def _persistent_line(machine: _Machine) -> Object:
    return Object("persistent id", (machine._line().decode("utf-8", "replace"),))


OPCODES: dict[int, _Step] = {
    ord(code): step
    for code, step in {
        "\x80": lambda machine: machine._skip(1), "\x95": lambda machine: machine._skip(8),
        "(": _Machine.mark, "0": _Machine.pop, "1": _Machine.to_mark, "2": _push(_twice),
        "c": _Machine.global_, "\x93": _Machine.stack_global, "\x81": _Machine.newobj,
        "\x92": _Machine.newobj_ex, "o": _Machine.obj, "i": _Machine.inst, "R": _Machine.reduce,
        "b": _Machine.build, "a": _Machine.append, "e": _Machine.appends, "\x90": _Machine.appends,
        "s": _Machine.setitem, "u": _Machine.setitems, "t": _Machine.tuple_, "l": _Machine.list_,
        "d": _Machine.dict_, "\x91": _Machine.frozenset_, "\x85": lambda machine: machine.tuple_of(1),
        "\x86": lambda machine: machine.tuple_of(2), "\x87": lambda machine: machine.tuple_of(3),
        "X": _text(_U32), "\x8c": _text(_U8), "\x8d": _text(_U64), "V": _push(_read_unicode),
        "U": _bytes(_U8), "T": _bytes(_U32), "S": _Machine.text_string,
        "C": _bytes(_U8), "B": _bytes(_U32), "\x8e": _bytes(_U64), "\x96": _bytes(_U64),
        "Q": _Machine.binpersid, "P": _push(_persistent_line),
        "h": _get(_byte), "j": _get(_word), "g": _get(_typed), "q": _put(_byte), "r": _put(_word),
        "p": _put(_typed), "\x94": _Machine.memoize,
        "N": _constant(None), "\x88": _constant(True), "\x89": _constant(False), ")": _constant(()),
        "]": _container(list), "}": _container(dict), "\x8f": _container(Members),
        "I": _Machine.text_integer, "L": _push(_typed), "F": _push(_read_float),
        "J": _number(_I32), "K": _number(_U8), "M": _number(_U16), "G": _number(_F64),
        "\x8a": _push(lambda machine: machine._integer(_byte(machine))),
        "\x8b": _push(lambda machine: machine._integer(_word(machine))),
        "\x82": _Machine.extension, "\x83": _Machine.extension, "\x84": _Machine.extension,
        "\x97": _Machine.next_buffer, "\x98": lambda _: None,
    }.items()
}  # fmt: skip
"""Every opcode that Python's picklers write, in protocols 0 to 5."""
