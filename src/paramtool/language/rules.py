"""Read the rules of ``init:``: a selector, one initializer and its arguments."""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from functools import cache

from paramtool.audience import worded
from paramtool.errors import ParamtoolError, Problems, shorten
from paramtool.initializers.registry import offers
from paramtool.initializers.registry.table import BUILT_IN, BuiltIn
from paramtool.language.arguments import bind, mismatch, missing
from paramtool.language.catalog import Catalog
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe, is_nothing
from paramtool.language.signature import Argument, Signature
from paramtool.language.tree import Value
from paramtool.language.values import Mismatch, convert
from paramtool.patterns import compile_pattern
from paramtool.place import Text
from paramtool.records.rule import Rule
from paramtool.suggestion import suggest

SELECTOR = Signature(
    "a selector",
    (
        Argument("pattern", "regex", "None"),
        Argument("name", "str", "None"),
        Argument("module", "str", "None"),
        Argument("exclude", "regex", "None"),
        Argument("type", "str", "None"),
        Argument("ndim", "int", "None"),
    ),
)

_EXAMPLE = "e.g. {pattern: weight, normal: {std: 0.01}}"


@cache
def signature_of(known: BuiltIn) -> Signature:
    """Return what one of our own initializers takes."""
    return Signature.read(known.name, known.arguments)


def read_recipe(text: Text, catalog: Catalog) -> tuple[Rule, ...]:
    """Return the rules of a recipe file: a list of rules, or a mapping with that list under ``init``.

    Raises:
        Problems: with everything that is wrong.
    """
    from paramtool.language.yaml_reader import read

    root = read(text)
    problems: list[ParamtoolError] = []
    if isinstance(root, Mapping) and [key.raw for key, _ in root.entries] == ["init"]:
        root = root.entries[0][1]
    rules = read_rules(root, catalog, problems)
    if problems:
        raise Problems(problems)
    return rules


def read_rules(node: Node, catalog: Catalog, problems: list[ParamtoolError]) -> tuple[Rule, ...]:
    """Return the rules in a list; errors go to `problems`."""
    if not isinstance(node, Sequence):
        message = f"rules must be a list, got {describe(node)}"
        problems.append(ParamtoolError(message, node.place, "e.g. [{pattern: weight, zeros: }]"))
        return ()
    rules = [read_rule(item, catalog, problems) for item in node.items]
    return tuple(rule for rule in rules if rule is not None)


def read_rule(node: Node, catalog: Catalog, problems: list[ParamtoolError]) -> Rule | None:
    """Return the rule in `node`; errors go to `problems`."""
    if not isinstance(node, Mapping):
        problems.append(
            ParamtoolError(f"a rule must be a mapping, got {describe(node)}", node.place, _EXAMPLE)
        )
        return None
    selector: dict[str, Value] = {}
    named: list[tuple[Scalar, Node]] = []
    for key, value in node.entries:
        argument = SELECTOR.argument(key.raw)
        if argument is None:
            named.append((key, value))
            continue
        try:
            selector[key.raw] = _read(value, argument, "the rule", catalog)
        except ParamtoolError as error:
            problems.append(error)
    if len(named) != 1:
        problems.append(_not_one([key for key, _ in named], node))
        return None
    key, given = named[0]
    arguments = _arguments(key, given, catalog, problems, has_selector=len(node.entries) > 1)
    return Rule(key.raw, arguments, node.place, **selector)  # type: ignore[arg-type]


def _not_one(named: list[Scalar], node: Node) -> ParamtoolError:
    """Return the error for a rule with no initializer or several, one of which may be a misspelt selector."""
    if not named:
        return ParamtoolError("a rule needs an initializer, but this one has none", node.place, _EXAMPLE)
    offered = offers.names()
    for key in named:
        if key.raw not in offered:
            return _unknown("a rule has no key", key, offered)
    message = f"a rule takes one initializer, but this one has '{named[0].raw}' and '{named[1].raw}'"
    return ParamtoolError(message, named[1].place, "write one rule for each")


def _unknown(what: str, key: Scalar, offered: list[str], otherwise: str | None = None) -> ParamtoolError:
    known = [*offered, *(each.name for each in SELECTOR.arguments)]
    return ParamtoolError(f"{what} '{shorten(key.raw)}'", key.place, suggest(key.raw, known, otherwise))


def _arguments(
    key: Scalar, given: Node, catalog: Catalog, problems: list[ParamtoolError], *, has_selector: bool
) -> ReadOnly[str, Value]:
    known = BUILT_IN.get(key.raw)
    if known is None:
        return _plugin_arguments(key, given, catalog, problems, has_selector=has_selector)
    signature = signature_of(known)
    main = signature.argument(known.main or "")
    values, wrong = bind(
        signature, given, lambda each, argument: _read(each, argument, key.raw, catalog), main
    )
    absent = missing(signature, set(values), key) if not wrong else None
    problems.extend([*wrong, *([absent] if absent else [])])
    return values


def _meant(key: Scalar, given: Node, has_selector: bool) -> str | None:
    """Return the right form for a rule written as ``weight: normal``; None if it names no initializer."""
    named = given.entries[0][0] if isinstance(given, Mapping) and len(given.entries) == 1 else given
    known = BUILT_IN.get(named.raw) if isinstance(named, Scalar) else None
    if known is None:
        return None
    required = [each.name for each in signature_of(known).arguments if each.required]
    arguments = f"{{{', '.join(f'{name}: …' for name in required)}}}" if required else ""
    written = f"{known.name}: {arguments}"
    if has_selector:
        return f"write {written.strip()} in place of {shorten(key.raw)}: …"
    return f"write {{pattern: {shorten(key.raw)}, {written}}}"


def _plugin_arguments(
    key: Scalar, given: Node, catalog: Catalog, problems: list[ParamtoolError], *, has_selector: bool
) -> ReadOnly[str, Value]:
    offered = offers.names()
    if key.raw not in offered:
        own = f"one of your own comes with {worded('--plugin FILE.py', 'a plugin')}"
        error = _unknown("unknown initializer", key, offered, own)
        meant = _meant(key, given, has_selector) or offers.undeclared(key.raw)
        if meant is not None:
            error.set_hint(meant)
        problems.append(error)
        return {}
    if is_nothing(given):
        return {}
    if not isinstance(given, Mapping):
        problems.append(ParamtoolError(f"'{key.raw}' takes its arguments by name", given.place))
        return {}
    values = {}
    for name, value in given.entries:
        try:
            values[name.raw] = _read(value, Argument(name.raw), key.raw, catalog)
        except ParamtoolError as error:
            problems.append(error)
    return values


def _read(node: Node, argument: Argument, owner: str, catalog: Catalog) -> Value:
    try:
        value = convert(node, argument.parsed_type, catalog.dtypes)
    except Mismatch:
        raise mismatch(owner, argument, node, catalog.dtypes) from None
    if argument.type == "regex":
        compile_pattern(str(value), node.place)
    return value
