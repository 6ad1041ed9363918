"""Whether a YAML node is of a type of the notation, and the plain value it has then."""

from __future__ import annotations

import re

from paramtool.language.nodes import Mapping, Node, Scalar, Sequence
from paramtool.language.notation import Alternative, Atom, ListOf, Literal, TupleOf, Union
from paramtool.language.tree import DtypeName, Value
from paramtool.quantities import COUNT_PATTERN, SIZE_PATTERN

_COUNTED = {"quantity": re.compile(COUNT_PATTERN), "size": re.compile(SIZE_PATTERN)}


class Mismatch(Exception):
    """Raised if a node matches no alternative of its type."""


def convert(node: Node, kind: Union, dtypes: tuple[str, ...]) -> Value:
    """Return the value of `node` as `kind`; lists become tuples, as torch takes sizes.

    Modules and tensors are not read here but in `modules`, which knows what they may name.

    Raises:
        Mismatch: if no alternative fits.
    """
    for alternative in kind.alternatives:
        try:
            return _convert(node, alternative, dtypes)
        except Mismatch:
            continue
    raise Mismatch


def _convert(node: Node, kind: Alternative, dtypes: tuple[str, ...]) -> Value:
    if isinstance(kind, ListOf) and isinstance(node, Sequence):
        return tuple(convert(item, kind.item, dtypes) for item in node.items)
    if isinstance(kind, TupleOf) and isinstance(node, Sequence) and len(node.items) == len(kind.items):
        pairs = zip(node.items, kind.items, strict=True)
        return tuple(convert(item, each, dtypes) for item, each in pairs)
    if isinstance(kind, Literal) and isinstance(node, Scalar) and node.value == kind.word:
        return node.value
    if isinstance(kind, Atom) and isinstance(node, Scalar):
        return _atom(node, kind.name, dtypes)
    if isinstance(kind, Atom) and kind.name == "any":
        return plain(node)
    raise Mismatch


def _atom(node: Scalar, atom: str, dtypes: tuple[str, ...]) -> Value:
    value = node.value
    if atom == "any":
        return value
    if atom == "dtype" and isinstance(value, str) and value in dtypes:
        return DtypeName(value)
    if atom == "None" and value is None:
        return None
    if atom == "bool" and isinstance(value, bool):
        return value
    if atom == "str" and isinstance(value, str):
        return value
    if atom in ("regex", "name") and value is not None and not isinstance(value, bool):
        return node.raw  # names are often numbers, and so are patterns for them
    if atom in ("int", "float") and isinstance(value, int) and not isinstance(value, bool):
        return value
    if atom == "float" and isinstance(value, float):
        return value
    if atom in _COUNTED and _COUNTED[atom].fullmatch(node.raw):
        return node.raw  # how many digits are written says how exact it is
    raise Mismatch


def plain(node: Node) -> Value:
    """Return scalars and nested lists as they are; the nodes of a spec are bounded.

    Raises:
        Mismatch: for a mapping.
    """
    if isinstance(node, Sequence):
        return tuple(plain(item) for item in node.items)
    if isinstance(node, Mapping):
        raise Mismatch
    return node.value
