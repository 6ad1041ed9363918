"""Read ``expect:``, what `check` will hold the model to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PureWindowsPath

from paramtool.errors import Hint, ParamtoolError, shorten
from paramtool.language.arguments import mismatch
from paramtool.language.catalog import Catalog
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe
from paramtool.language.signature import Argument
from paramtool.language.tree import Value
from paramtool.language.values import Mismatch, convert
from paramtool.patterns import compile_pattern
from paramtool.quantities import COUNTS, SIZES, Quantity, about, between
from paramtool.records.expectation import Expectation
from paramtool.suggestion import suggest

KINDS = {
    "parameters": "quantity",
    "trainable": "quantity",
    "bytes": "size",
    "names": "regex",
    "frozen": "regex | [regex]",
    "dtype": "dtype",
    "shared": "[[name]]",
    "distinct": "[[name]]",
    "finite": "bool",
    "init": "'complete'",
    "gradients": "'reach-all'",
    "same_as": "str",
}
"""What may be expected, and how it is written; a quantity or size may also be ``{max: 124M}``."""

_KNOWN = f"use one of {', '.join(KINDS)}"

BOUNDS = ("min", "max")
_UNITS = {"quantity": COUNTS, "size": SIZES}


def read_expectations(
    node: Node, catalog: Catalog, problems: list[ParamtoolError]
) -> tuple[Expectation, ...]:
    """Return the expectations that `node` writes, one a pattern and a group of names.

    What is wrong goes to `problems`.  ``finite: false`` expects nothing, so that ``--set`` can say it.
    """
    if not isinstance(node, Mapping):
        problems.append(
            ParamtoolError(
                f"'expect' must be a mapping, got {describe(node)}", node.place, "e.g. {finite: true}"
            )
        )
        return ()
    found: list[Expectation] = []
    for key, value in node.entries:
        kind = KINDS.get(key.raw)
        if kind is None:
            hint = suggest(key.raw, KINDS, _KNOWN)
            problems.append(ParamtoolError(f"unknown expectation '{shorten(key.raw)}'", key.place, hint))
            continue
        try:
            found.extend(_read(key, value, kind, catalog))
        except ParamtoolError as error:
            problems.append(error)
    return tuple(found)


def _read(key: Scalar, node: Node, kind: str, catalog: Catalog) -> Iterator[Expectation]:
    name = key.raw
    if kind in _UNITS:
        yield Expectation(name, _quantity(node, name, kind, catalog), key.place)
        return
    value = _convert(node, Argument(name, kind), catalog)
    if kind == "[[name]]":
        for group in node.items if isinstance(node, Sequence) else ():
            yield Expectation(name, _group(group, name), group.place)
    elif kind.startswith("regex"):
        for each in node.items if isinstance(node, Sequence) else (node,):
            compile_pattern(_raw(each), each.place)
            yield Expectation(name, _raw(each), key.place if each is node else each.place)
    elif name == "same_as":
        yield Expectation(name, _inside(str(value), node), key.place)
    elif value is not False:
        yield Expectation(name, "true" if value is True else _raw(node), key.place)


def _convert(node: Node, argument: Argument, catalog: Catalog) -> Value:
    try:
        return convert(node, argument.parsed_type, catalog.dtypes)
    except Mismatch:
        raise mismatch("expect", argument, node, catalog.dtypes) from None


def _quantity(node: Node, name: str, kind: str, catalog: Catalog) -> Quantity:
    units = _UNITS[kind]
    if not isinstance(node, Mapping):
        _convert(node, Argument(name, kind), catalog)
        return _possible(about(_raw(node), units), node, "it is not a whole number")
    bounds: dict[str, str] = {}
    for key, value in node.entries:
        if key.raw not in BOUNDS:
            raise ParamtoolError(f"'{name}' has no bound '{shorten(key.raw)}'", key.place, "use min or max")
        _convert(value, Argument(key.raw, kind), catalog)
        bounds[key.raw] = _raw(value)
    if not bounds:
        raise ParamtoolError(f"'{name}' has neither min nor max", node.place, "e.g. {max: 124M}")
    return _possible(between(bounds.get("min"), bounds.get("max"), units), node)


def _possible(quantity: Quantity, node: Node, hint: Hint = None) -> Quantity:
    if quantity.least is not None and quantity.most is not None and quantity.least > quantity.most:
        raise ParamtoolError(f"nothing can have {quantity}", node.place, hint)
    return quantity


def _group(node: Node, name: str) -> tuple[str, ...]:
    """Return the names of a group; refuse a single name, or one that appears twice."""
    names = tuple(map(_raw, node.items if isinstance(node, Sequence) else ()))
    if len(names) < 2 or len(set(names)) < len(names):
        message = f"'{name}' takes two or more different names, got {shorten(', '.join(names)) or 'none'}"
        raise ParamtoolError(message, node.place, f"e.g. {name}: [[a.weight, b.weight]]")
    return names


def _raw(node: Node) -> str:
    """Return a scalar as it is written, which every kind but the lists is."""
    assert isinstance(node, Scalar)
    return node.raw


def _inside(path: str, node: Node) -> str:
    """Return the path of a snapshot, if it stays in the folder of the spec that names it.

    A spec is untrusted input: it must not make CI open files elsewhere, or other kinds of files.  What a
    person types as an option may be anything.
    """
    pure = PureWindowsPath(path)  # reads / as well as \\
    is_inside = not pure.anchor and ".." not in pure.parts and "\0" not in path
    if not node.place.text.is_option and not (is_inside and pure.suffix == ".json"):
        hint = "--same-as takes any MODEL"
        raise ParamtoolError("'same_as' must be a .json file below the spec's folder", node.place, hint)
    return path
