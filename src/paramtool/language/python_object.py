"""The name of an object of Python, as ``torch.nn:Transformer``: what was typed, not yet imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Inputs
from paramtool.language.nodes import Mapping as Entries
from paramtool.language.nodes import Node, Sequence
from paramtool.language.option_values import read_value
from paramtool.place import Place, Text

_PATH = r"(?P<path>[^\W\d]\w*(\.[^\W\d]\w*)*)"
OBJECT = re.compile(rf"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):{_PATH}")
"""``package.module:object``; where a file is called so, it is that file."""

OBJECT_IN_FILE = re.compile(rf"(?P<module>.+\.py):{_PATH}", re.DOTALL)
"""``src/lab/net.py:Net``."""

MOST_POSITIONAL = 1000


@dataclass(frozen=True)
class PythonObject:
    """A module, a class or a factory by its place in Python.

    Attributes:
        name: as it was typed, ``package.module:object`` or ``file.py:object``.
        module: what to import, or the path of a file.
        path: the attribute, with dots for attributes of attributes.
        arguments: what ``--arg`` gives to a class or factory by name.
        positional: and what it gives by position.
        seed: of the values that it is built with.
        inputs: what its forward pass is called with; None if nobody said.
        is_file: whether `module` is the path of a file.
        option: what gives arguments on the command line, for messages.
    """

    name: str
    module: str
    path: str
    arguments: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    inputs: Inputs | None = None
    positional: tuple[Any, ...] = ()
    is_file: bool = False
    option: str = "--arg"


def read_object(
    name: str, arguments: Iterable[str] | Mapping[str, Any] = (), option: str = "--arg"
) -> PythonObject:
    """Return the object that `name` is; nothing is imported.

    Args:
        name: ``package.module:object``, or ``file.py:object``.
        arguments: each ``key=value``, ``0=value`` or a list of positional ones, the values in YAML; or the
            values by their keys.
        option: what gave them, for messages.

    Raises:
        ParamtoolError: if an argument is none of these, or appears twice.
    """
    in_file = OBJECT_IN_FILE.fullmatch(name)
    match = in_file or OBJECT.fullmatch(name)
    assert match is not None
    if isinstance(arguments, Mapping):
        given, positional = dict(arguments), ()
    else:
        given, positional = _read_arguments(arguments, option)
    return PythonObject(
        name,
        match["module"],
        match["path"],
        given,
        positional=positional,
        is_file=in_file is not None,
        option=option,
    )


def _read_arguments(typed: Iterable[str], option: str) -> tuple[dict[str, Any], tuple[Any, ...]]:
    given: dict[str, Any] = {}
    numbered: dict[int, Any] = {}
    for each in typed:
        for key, value in _arguments(each, option, len(numbered)):
            if key in given or (key.isdigit() and int(key) in numbered):
                raise ParamtoolError(f"{option} '{shorten(key)}' appears twice")
            if key.isdigit():
                numbered[int(key)] = value
            else:
                given[key] = value
    missing = next((index for index in range(len(numbered)) if index not in numbered), None)
    if missing is not None:
        raise ParamtoolError(f"{option} has {max(numbered)}=… but no {missing}=…")
    return given, tuple(numbered[index] for index in range(len(numbered)))


def _arguments(typed: str, option: str, count: int) -> list[tuple[str, Any]]:
    """Return the arguments in one option; positional ones have numbers for keys."""
    place = Place(Text(f"{option} {shorten(typed)}", typed, is_option=True), 1, 1)
    hint = "e.g. nhead=4, sizes=[3,4], or [3,4] for positional arguments"
    if typed[:1] in ("[", "{"):
        value = _value(read_value(typed, place))
        if isinstance(value, dict):
            return list(value.items())
        return [(str(count + index), each) for index, each in enumerate(value)]
    key, equals, written = typed.partition("=")
    is_position = key.isascii() and key.isdigit()
    if is_position and (len(key) > 4 or int(key) >= MOST_POSITIONAL):
        raise ParamtoolError(f"at most {MOST_POSITIONAL:,} positional arguments", place)
    if not equals or not (is_position or key.isidentifier()):
        raise ParamtoolError("expected KEY=VALUE", place, hint)
    return [(str(int(key)) if is_position else key, _value(read_value(written, place)))]


def _value(node: Node) -> Any:
    """Return what a node is in Python: a list, a dict, or a scalar; nodes are bounded."""
    if isinstance(node, Sequence):
        return [_value(each) for each in node.items]
    if isinstance(node, Entries):
        return {key.value if key.value is not None else key.raw: _value(each) for key, each in node.entries}
    return node.value
