"""The stack of a machine that reads pickles: what each opcode does with inert stand-ins."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.pickle_bytes import PickleBytes, Span
from paramtool.files.reading.pickled_calls import called, made
from paramtool.files.reading.pickled_globals import OLD_MODULES
from paramtool.files.reading.pickled_storages import persistent, written
from paramtool.files.reading.pickled_values import (
    Broken,
    KnownDict,
    Members,
    Name,
    Object,
    Storage,
    dict_key,
)

CONTAINER = 3
"""Steps that it counts as to make a container."""

LOAD = "torch.storage._load_from_bytes"
"""The function that ``pickle.dump`` writes for the memory of a tensor."""

Load = Callable[[tuple[Any, ...]], "tuple[Any, int]"]


class PickleStack(PickleBytes):
    """Does what the opcodes say; its methods go by the names of pickletools.

    Args:
        span: where the pickle is.
        storages: takes every storage that is named, by its key.
        load: gives what stands for a call of `LOAD`, and the steps that it took.
    """

    def __init__(self, span: Span, storages: dict[str, Storage], load: Load | None) -> None:
        super().__init__(span)
        self._load = load
        self._storages = storages
        self.stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self._names: dict[str, Name] = {}
        self.steps = 0

    def to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._marks.pop()
        return items

    def mark(self) -> None:
        self.steps += CONTAINER
        self._marks.append(self.stack)
        self.stack = []

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.to_mark()

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def tuple_(self) -> None:
        items = self.to_mark()
        self.stack.append(tuple(items))

    def list_(self) -> None:
        items = self.to_mark()
        self.stack.append(items)

    def dict_(self) -> None:
        items = self.to_mark()
        self.stack.append({})
        self.set(items)

    def frozenset_(self) -> None:
        items = self.to_mark()
        self.stack.append(Members(items))

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise Broken
        self.steps += CONTAINER
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append(self) -> None:
        item = self.stack.pop()
        self.put([item])

    def appends(self) -> None:
        self.put(self.to_mark())

    def put(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, Object):
            target.append(items)
        else:
            raise Broken

    def setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set([key, value])

    def setitems(self) -> None:
        self.set(self.to_mark())

    def set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, (dict, Object)) or len(items) % 2:
            raise Broken
        put = target.put if isinstance(target, Object) else target.__setitem__
        for key, value in zip(items[::2], items[1::2], strict=True):
            put(dict_key(key), value)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, (Object, KnownDict)):
            target.state = state  # a tensor keeps none: attributes are not what is listed

    def global_(self) -> None:
        module, name = self.line().decode(), self.line().decode()
        self.stack.append(self.name(module, name))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise Broken
        self.stack.append(self.name(module, name))

    def name(self, module: str, name: str) -> Name:
        words = f"{OLD_MODULES.get(module, module)}.{name}"
        return self._names.setdefault(words, Name(words))

    def extension(self) -> None:
        raise ParamtoolError("its pickle names classes by numbers of an extension registry (EXT)")

    def next_buffer(self) -> None:
        raise ParamtoolError("its pickle keeps bytes outside itself (NEXT_BUFFER)")

    def newobj(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.make(function, arguments)

    def newobj_ex(self) -> None:
        _, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.make(function, arguments)

    def obj(self) -> None:
        function, *arguments = self.to_mark()
        self.make(function, tuple(arguments))

    def inst(self) -> None:
        module, name = self.line().decode(), self.line().decode()
        arguments = tuple(self.to_mark())
        self.make(self.name(module, name), arguments)

    def make(self, function: Any, arguments: Any) -> None:
        self.steps += CONTAINER
        if not isinstance(function, (Name, Object)) or not isinstance(arguments, tuple):
            raise Broken
        self.stack.append(made(function.words, arguments))

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(arguments, tuple):
            raise Broken
        self.steps += CONTAINER
        if arguments and isinstance(arguments[0], (list, tuple, dict)):
            self.steps += len(arguments[0])  # the same list may be copied again and again
        if isinstance(function, Object):  # a method, or what another call would return
            self.stack.append(Object(shorten(function.words), arguments))
        elif isinstance(function, Name) and function.words == LOAD and self._load is not None:
            found, cost = self._load(arguments)
            self.steps += cost
            self.stack.append(found)
        elif isinstance(function, Name):
            self.stack.append(called(function.words, arguments))
        else:
            raise Broken

    def binpersid(self) -> None:
        self._persistent(persistent(self.stack.pop()))

    def persid(self) -> None:
        self._persistent(written(self.line()))

    def _persistent(self, found: Any) -> None:
        if isinstance(found, Storage):
            self._storages.setdefault(found.key, found)
        self.stack.append(found)

    def text_integer(self) -> None:
        line = self.line()
        self.stack.append(line == b"01" if line in (b"00", b"01") else decimal(line))

    def text_string(self) -> None:
        line = self.line().strip()
        if len(line) < 2 or line[:1] not in (b"'", b'"'):
            raise Broken
        self.stack.append(bytes(codecs.escape_decode(line[1:-1])[0]))


def decimal(line: bytes) -> int:
    """Return an integer that is written in digits.

    Raises:
        Broken: if there are too many.
    """
    if len(line) > 1000:
        raise Broken
    return int(line.strip().removesuffix(b"L"))
