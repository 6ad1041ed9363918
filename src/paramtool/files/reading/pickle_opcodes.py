"""The opcodes of pickles, of every protocol, and what is done at each."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from typing import Any

from paramtool.files.reading.pickle_stack import CONTAINER, decimal
from paramtool.files.reading.pickle_stack import PickleStack as Stack
from paramtool.files.reading.pickled_values import Members

_U8, _U16, _U32, _U64 = (struct.Struct(each) for each in ("<B", "<H", "<I", "<Q"))
_I32, _F64 = struct.Struct("<i"), struct.Struct(">d")

_Step = Callable[[Stack], None]


def _push(make: Callable[[Stack], Any]) -> _Step:
    return lambda machine: machine.stack.append(make(machine))


def _constant(value: Any) -> _Step:
    return lambda machine: machine.stack.append(value)


def _container(kind: Callable[[], Any]) -> _Step:
    def step(machine: Stack) -> None:
        machine.steps += CONTAINER
        machine.stack.append(kind())

    return step


def _number(form: struct.Struct) -> _Step:
    return lambda machine: machine.stack.append(machine.number(form))


def _text(form: struct.Struct) -> _Step:
    return lambda machine: machine.stack.append(machine.text(machine.number(form)))


def _bytes(form: struct.Struct) -> _Step:
    def step(machine: Stack) -> None:
        machine.steps += CONTAINER  # each is an object with a place of its own
        machine.stack.append(machine.bytes_(machine.number(form)))

    return step


def _put(index: Callable[[Stack], int]) -> _Step:
    def step(machine: Stack) -> None:
        machine.memo[index(machine)] = machine.stack[-1]

    return step


def _get(form: struct.Struct) -> _Step:
    return lambda machine: machine.stack.append(machine.memo[machine.number(form)])


def _get_typed(machine: Stack) -> None:
    machine.stack.append(machine.memo[_typed(machine)])


def _byte(machine: Stack) -> int:
    number: int = machine.number(_U8)
    return number


def _word(machine: Stack) -> int:
    number: int = machine.number(_U32)
    return number


def _typed(machine: Stack) -> int:
    return decimal(machine.line())


def _twice(machine: Stack) -> Any:
    return machine.stack[-1]


def _read_float(machine: Stack) -> float:
    return float(machine.line())


def _read_unicode(machine: Stack) -> str:
    return codecs.raw_unicode_escape_decode(machine.line())[0]  # which imports no codec


OPCODES: dict[int, _Step] = {
    ord(code): step
    for code, step in {
        "\x80": lambda machine: machine.skip(1), "\x95": lambda machine: machine.skip(8),
        "(": Stack.mark, "0": Stack.pop, "1": Stack.to_mark, "2": _push(_twice),
        "c": Stack.global_, "\x93": Stack.stack_global, "\x81": Stack.newobj,
        "\x92": Stack.newobj_ex, "o": Stack.obj, "i": Stack.inst, "R": Stack.reduce,
        "b": Stack.build, "a": Stack.append, "e": Stack.appends, "\x90": Stack.appends,
        "s": Stack.setitem, "u": Stack.setitems, "t": Stack.tuple_, "l": Stack.list_,
        "d": Stack.dict_, "\x91": Stack.frozenset_, "\x85": lambda machine: machine.tuple_of(1),
        "\x86": lambda machine: machine.tuple_of(2), "\x87": lambda machine: machine.tuple_of(3),
        "X": _text(_U32), "\x8c": _text(_U8), "\x8d": _text(_U64), "V": _push(_read_unicode),
        "U": _bytes(_U8), "T": _bytes(_U32), "S": Stack.text_string,
        "C": _bytes(_U8), "B": _bytes(_U32), "\x8e": _bytes(_U64), "\x96": _bytes(_U64),
        "Q": Stack.binpersid, "P": Stack.persid,
        "h": _get(_U8), "j": _get(_U32), "g": _get_typed, "q": _put(_byte), "r": _put(_word),
        "p": _put(_typed), "\x94": Stack.memoize,
        "N": _constant(None), "\x88": _constant(True), "\x89": _constant(False), ")": _constant(()),
        "]": _container(list), "}": _container(dict), "\x8f": _container(Members),
        "I": Stack.text_integer, "L": _push(_typed), "F": _push(_read_float),
        "J": _number(_I32), "K": _number(_U8), "M": _number(_U16), "G": _number(_F64),
        "\x8a": _push(lambda machine: machine.integer(_byte(machine))),
        "\x8b": _push(lambda machine: machine.integer(_word(machine))),
        "\x82": Stack.extension, "\x83": Stack.extension, "\x84": Stack.extension,
        "\x97": Stack.next_buffer, "\x98": lambda _: None,
    }.items()
}  # fmt: skip
"""Every opcode that Python's picklers write, in protocols 0 to 5."""
