"""What a YAML text says, with places: scalars, sequences and mappings."""

from __future__ import annotations

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from paramtool.errors import shorten
from paramtool.place import Place, Text

Plain: TypeAlias = "bool | int | float | str | None"


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
    """Return the node that a Python value is; what is no mapping, list, number or flag is a text."""
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
    """Tell whether `node` is YAML's null, as after a key without a value."""
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
