"""The name of an object of Python, as ``torch.nn:Transformer``: what was typed, not yet imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.document import Inputs
from paramtool.language.option_values import read_value
from paramtool.language.values import Mismatch, plain
from paramtool.place import Place, Text

OBJECT = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<path>[^\W\d]\w*(\.[^\W\d]\w*)*)")
"""``package.module:object``; where a file is called so, it is that file."""


@dataclass(frozen=True)
class PythonObject:
    """A module, a class or a factory by its place in Python.

    Attributes:
        name: as it was typed, ``package.module:object``.
        module: what to import.
        path: the attribute, with dots for attributes of attributes.
        arguments: what ``--arg`` gives to a class or factory.
        seed: of the values that it is built with.
        inputs: what its forward pass is called with; None if nobody said.
    """

    name: str
    module: str
    path: str
    arguments: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    inputs: Inputs | None = None


def read_object(name: str, arguments: Iterable[str] | Mapping[str, Any] = ()) -> PythonObject:
    """Return the object that `name` is; nothing is imported.

    Args:
        name: ``package.module:object``.
        arguments: each ``key=value``, the value in YAML; or the values by their keys.

    Raises:
        ParamtoolError: if an argument is not ``key=value``, or appears twice.
    """
    match = OBJECT.fullmatch(name)
    assert match is not None
    if isinstance(arguments, Mapping):
        return PythonObject(name, match["module"], match["path"], dict(arguments))
    given: dict[str, Any] = {}
    for each in arguments:
        key, value = _argument(each)
        if key in given:
            raise ParamtoolError(f"--arg '{shorten(key)}' appears twice")
        given[key] = value
    return PythonObject(name, match["module"], match["path"], given)


def _argument(typed: str) -> tuple[str, Any]:
    text = Text(f"--arg {shorten(typed)}", typed, is_option=True)
    place = Place(text, 1, 1)
    key, equals, value = typed.partition("=")
    if not equals or not key.isidentifier():
        raise ParamtoolError("expected KEY=VALUE", place, "e.g. nhead=4 or sizes=[3,4]")
    try:
        return key, plain(read_value(value, place))
    except Mismatch as error:
        raise ParamtoolError("an argument must be a scalar or a list", place) from error
