"""Read ``expect:``, what `check` will hold the model to."""

from __future__ import annotations

from dataclasses import dataclass

from paramtool.errors import ParamtoolError
from paramtool.patterns import compile_pattern
from paramtool.place import Place
from paramtool.sources.spec.arguments import mismatch
from paramtool.sources.spec.catalog import Catalog
from paramtool.sources.spec.nodes import Mapping, Node, describe, shorten
from paramtool.sources.spec.signature import Argument
from paramtool.sources.spec.tree import Value
from paramtool.sources.spec.values import Mismatch, convert
from paramtool.suggestion import suggest

KINDS = {
    "parameters": "quantity",
    "trainable": "quantity",
    "bytes": "quantity",
    "names": "regex",
    "frozen": "regex | [regex]",
    "dtype": "dtype",
    "shared": "[[str]]",
    "distinct": "[[str]]",
    "finite": "bool",
    "init": "'complete'",
    "gradients": "'reach-all'",
    "same_as": "str",
}
"""What may be expected, and how it is written; a quantity may also be ``{max: 124M}``."""

_KNOWN = f"known are {', '.join(KINDS)}"

BOUNDS = ("min", "max")


@dataclass(frozen=True)
class Expectation:
    """One expectation: `value` as it is written, for a bound a pair of ``min`` and ``max``."""

    name: str
    value: Value
    place: Place


def read_expectations(
    node: Node, catalog: Catalog, problems: list[ParamtoolError]
) -> tuple[Expectation, ...]:
    """Return the expectations that `node` writes; what is wrong goes to `problems`."""
    if not isinstance(node, Mapping):
        problems.append(
            ParamtoolError(f"'expect' is a mapping, got {describe(node)}", node.place, "as in {finite: true}")
        )
        return ()
    found = []
    for key, value in node.entries:
        kind = KINDS.get(key.raw)
        if kind is None:
            hint = suggest(key.raw, KINDS, _KNOWN)
            problems.append(ParamtoolError(f"no expectation '{shorten(key.raw)}'", key.place, hint))
            continue
        try:
            found.append(Expectation(key.raw, _read(value, key.raw, kind, catalog), key.place))
        except ParamtoolError as error:
            problems.append(error)
    return tuple(found)


def _read(node: Node, name: str, kind: str, catalog: Catalog) -> Value:
    if kind == "quantity" and isinstance(node, Mapping):
        return _bounds(node, name, catalog)
    argument = Argument(name, kind)
    try:
        value = convert(node, argument.parsed_type, catalog.dtypes)
    except Mismatch:
        raise mismatch("expect", argument, node) from None
    if kind.startswith("regex"):
        for pattern in value if isinstance(value, tuple) else (value,):
            compile_pattern(str(pattern), node.place)
    return value


def _bounds(node: Mapping, name: str, catalog: Catalog) -> Value:
    bounds: dict[str, Value] = dict.fromkeys(BOUNDS)
    for key, value in node.entries:
        if key.raw not in BOUNDS:
            raise ParamtoolError(f"'{name}' has no bound '{shorten(key.raw)}'", key.place, "min and max are")
        bounds[key.raw] = _read_quantity(value, key.raw, catalog)
    return tuple(bounds.values())


def _read_quantity(node: Node, name: str, catalog: Catalog) -> Value:
    argument = Argument(name, "quantity")
    try:
        return convert(node, argument.parsed_type, catalog.dtypes)
    except Mismatch:
        raise mismatch("expect", argument, node) from None
