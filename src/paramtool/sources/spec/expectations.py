"""Read ``expect:``, what `check` will hold the model to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from paramtool.errors import ParamtoolError
from paramtool.patterns import compile_pattern
from paramtool.place import Place
from paramtool.records.sharing import ExpectedSharing
from paramtool.sources.spec.arguments import mismatch
from paramtool.sources.spec.catalog import Catalog
from paramtool.sources.spec.nodes import Mapping, Node, Scalar, Sequence, describe, shorten
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
    """One expectation.

    Attributes:
        name: what is expected, one of `KINDS`.
        value: as it is written; for a bound a pair of ``min`` and ``max``.
        place: of the name.
        places: of the items, where the value is a list.
    """

    name: str
    value: Value
    place: Place
    places: tuple[Place, ...] = ()


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
            places = tuple(item.place for item in value.items) if isinstance(value, Sequence) else ()
            found.append(Expectation(key.raw, _read(value, key.raw, kind, catalog), key.place, places))
        except ParamtoolError as error:
            problems.append(error)
    return tuple(found)


def expected_sharing(expectations: Iterable[Expectation]) -> list[ExpectedSharing]:
    """Return what is expected of names that share, or do not."""
    return [
        ExpectedSharing(each.name == "shared", names, place)  # type: ignore[arg-type]
        for each in expectations
        if each.name in ("shared", "distinct")
        for names, place in zip(each.value, each.places, strict=True)  # type: ignore[arg-type]
    ]


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
    if kind == "[[str]]" and isinstance(node, Sequence):
        for item in node.items:
            _check_names(item, name)
    return value


def _check_names(node: Node, name: str) -> None:
    """Refuse what says nothing: a single name, or one that comes twice."""
    names = (
        [item.raw for item in node.items if isinstance(item, Scalar)] if isinstance(node, Sequence) else []
    )
    if len(names) < 2 or len(set(names)) < len(names):
        message = f"'{name}' is of names, two or more that differ, got {shorten(', '.join(names)) or 'none'}"
        raise ParamtoolError(message, node.place, f"as in {name}: [[a.weight, b.weight]]")


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
