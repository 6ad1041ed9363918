"""What a YAML text says, with places: scalars, sequences and mappings.

A plain scalar means what the YAML 1.2 core schema says, where `no` is a string and `1e-3` a number.  PyYAML
follows YAML 1.1 (`no` is False, `010` is 8, `1:30` is 90, `1e-3` is a string), so its constructors are not
used.  Source: YAML 1.2.2, section 10.3.2.

Some nodes are recipes, built anew at each use: the values of ``define``, the module of a Repeat.  An anchor
inside a recipe names one module in each copy; where it is written decides this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from paramtool.errors import shorten
from paramtool.language.limits import MAX_INTEGER
from paramtool.place import Place, Text

Plain: TypeAlias = "bool | int | float | str | None"

_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASES = {"0o": 8, "0x": 16}
_LONGEST_NUMBER = 100


@dataclass(eq=False)
class _Written:
    text: Text
    line: int
    column: int
    anchor: str | None = field(default=None, kw_only=True)
    parent: Node | None = field(default=None, kw_only=True, repr=False)
    """The node that this one is written in; an alias elsewhere does not change it."""

    @property
    def place(self) -> Place:
        return Place(self.text, self.line, self.column)


@dataclass(eq=False)
class Scalar(_Written):
    """A single value: `value` as YAML 1.2 reads it, `raw` as it is written."""

    raw: str
    value: Plain


@dataclass(eq=False)
class Sequence(_Written):
    """A list of nodes."""

    items: list[Node] = field(default_factory=list)


@dataclass(eq=False)
class Mapping(_Written):
    """Key and value nodes in the order written; keys are scalars and differ from each other."""

    entries: list[tuple[Scalar, Node]] = field(default_factory=list)

    def get(self, key: str) -> Node | None:
        """Return the value under `key` (as written), or None."""
        return next((value for name, value in self.entries if name.raw == key), None)


Node: TypeAlias = Scalar | Sequence | Mapping


def node_of(value: Any, text: Text) -> Node:
    """Return the node for a Python value; anything but a mapping, list, number or flag is a text."""
    if isinstance(value, Dictionary):
        return Mapping(
            text,
            1,
            1,
            entries=[(_scalar(str(key), text), node_of(each, text)) for key, each in value.items()],
        )
    if isinstance(value, (list, tuple)):
        return Sequence(text, 1, 1, items=[node_of(each, text) for each in value])
    return _scalar(value, text)


def _scalar(value: Any, text: Text) -> Scalar:
    plain = value if value is None or isinstance(value, (bool, int, float)) else str(value)
    return Scalar(text, 1, 1, str(value), plain)


def is_nothing(node: Node) -> bool:
    """Return whether `node` is YAML's null, as after a key without a value."""
    return isinstance(node, Scalar) and node.value is None


def describe(node: Node) -> str:
    """Name `node` for a message: ``the string 'a'``, ``a list``, ``a mapping``."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f"the string '{shorten(node.value)}'"
    return shorten(node.raw)


def resolve(raw: str) -> Plain:
    """Return the value of a plain (unquoted) scalar.

    Raises:
        ValueError: for an integer beyond 64 bits, or a number of more than 100 characters.
    """
    if raw in _WORDS:
        return _WORDS[raw]
    if not (raw[0].isdigit() or raw[0] in "+-."):
        return raw
    if _INTEGER.fullmatch(raw):
        if len(raw) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(raw):,} characters; at most {_LONGEST_NUMBER}")
        base = _BASES.get(raw[:2])
        value = int(raw[2:], base) if base else int(raw)
        if abs(value) > MAX_INTEGER:
            raise ValueError(f"the integer {raw} does not fit in 64 bits")
        return value
    if _FLOAT.fullmatch(raw):
        if len(raw) > _LONGEST_NUMBER:
            raise ValueError(f"a number of {len(raw):,} characters; at most {_LONGEST_NUMBER}")
        return float(raw)
    return raw


def recipe_root(node: Node, defines: Mapping | None) -> Node | None:
    """Return the root of the innermost recipe that `node` is written in, or None."""
    current: Node | None = node
    while current is not None:
        if current.parent is not None and (current.parent is defines or _is_repeated(current)):
            return current
        current = current.parent
    return None


def is_alias(node: Node, holder: Mapping | None) -> bool:
    """Return whether `node`, found in `holder`, is an alias of an anchor written elsewhere."""
    return node.anchor is not None and node.parent is not holder


def _is_repeated(node: Node) -> bool:
    around = node.parent
    above = around.parent if around is not None else None
    if not isinstance(around, Mapping) or not isinstance(above, Mapping):
        return False
    # only then the search for the module: a mapping may have 70,000 keys, and an anchor under each
    return [key.raw for key, _ in above.entries[:2]] == ["Repeat"] and around.get("module") is node
