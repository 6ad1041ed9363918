"""Every initializer that a rule may name, listed without importing one."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable
from dataclasses import replace

from paramtool.errors import ParamtoolError, shorten
from paramtool.initializers.registry import offers
from paramtool.initializers.registry.table import BUILT_IN, OWN, TORCH
from paramtool.language.rules import signature_of
from paramtool.language.signature import Argument, Signature
from paramtool.plugins import python_file
from paramtool.plugins.offer import Offer
from paramtool.records.initializer import (
    ALL_COLUMNS,
    LIST_COLUMNS,
    InitializerRow,
    Initializers,
    InitializerTotals,
)
from paramtool.records.report import Report
from paramtool.suggestion import did_you_mean

UNKNOWN = "…"
_OFFERED = ("generator", "parameter")  # arguments that no rule gives: the tensor's stream and name
_EXAMPLES = {"int": "1", "bool": "true", "str": "weights.safetensors", "int | [int]": "[0,0]"}


def initializers(name: str | None = None, *, files: Iterable[str] = ()) -> Initializers:
    """Return a row for every initializer that is installed, or that a file has.

    Args:
        name: only those of that name, with all there is to say about them.
        files: Python files of initializers, which are read and not run.

    Raises:
        ParamtoolError: if there is none of that name, or a file has none.
    """
    rows = [_offered(each) for each in offers.listed()]
    for file in dict.fromkeys(files):
        found = python_file.initializers(file)
        offers.refuse_built_in(file, found)
        rows.extend(_of_file(file, node) for node in found.values())
    rows.sort(key=lambda row: row.name)
    if name is not None:
        rows = _called(name, rows)
    own = sum(row.origin in (TORCH, OWN) for row in rows)
    totals = InitializerTotals(initializers=len(rows), plugins=len(rows) - own)
    columns = LIST_COLUMNS if name is None else ALL_COLUMNS
    return Report("initializers", None, tuple(rows), totals, columns)


def _called(name: str, rows: list[InitializerRow]) -> list[InitializerRow]:
    """Return the rows of one name, which may be written as torch or as an option has it."""
    for word in (name, name.removeprefix("--").replace("-", "_").removesuffix("_")):
        found = [row for row in rows if row.name == word]
        if found:
            return found
    hint = did_you_mean(name, [row.name for row in rows]) or "'paramtool initializers' lists them"
    raise ParamtoolError(f"unknown initializer '{shorten(name)}'", hint=hint)


def _offered(offer: Offer) -> InitializerRow:
    node = offer.definition()
    known = BUILT_IN.get(offer.name)
    if known is None or known is not offer:
        return _row(offer.name, _taken(node) if node else None, offer.origin, _doc(node), offer.typed)
    row = _row(known.name, signature_of(known), known.origin, _doc(node))
    return replace(row, option=f"{known.flag} {known.option.metavar}".rstrip() if known.option else None)


def _of_file(file: str, node: ast.FunctionDef) -> InitializerRow:
    return _row(node.name, _taken(node), file, _doc(node), python_file.typed(file))


def _taken(function: ast.FunctionDef) -> Signature:
    """Return what a function takes after its tensor, as its source says."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [*[None] * (len(positional) - len(given.defaults)), *given.defaults]
    arguments = [
        *(_argument(each, default, False) for each, default in zip(positional, defaults, strict=True)),
        *(
            _argument(each, default, True)
            for each, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        ),
    ]
    return Signature(function.name, tuple(each for each in arguments[1:] if each.name not in _OFFERED))


def _argument(given: ast.arg, default: ast.expr | None, keyword_only: bool) -> Argument:
    kind = ast.unparse(given.annotation) if given.annotation else "any"
    return Argument(given.arg, kind, ast.unparse(default) if default else None, keyword_only)


def _doc(node: ast.FunctionDef | None) -> str | None:
    return ast.get_docstring(node) if node else None


def _row(
    name: str, signature: Signature | None, origin: str, doc: str | None, before: str = ""
) -> InitializerRow:
    arguments, written, example = UNKNOWN, f"{name}({UNKNOWN})", []
    if signature is not None:
        arguments = ", ".join(
            each.name if each.required else f"{each.name}={each.default}" for each in signature.arguments
        )
        written, example = str(replace(signature, name=name)), _example(name, signature)
    given = ",".join(f"{argument}={value}" for argument, value in example)
    typed = shlex.quote(f"{name}:{given}" if given else name)
    spec = ", ".join(f"{argument}: {value}" for argument, value in example)
    return InitializerRow(
        name=name,
        arguments=arguments,
        origin=origin,
        signature=written,
        doc=doc,
        option=None,
        typed=f"{before} --pattern weight --with {typed}".lstrip(),
        spec=f"{{pattern: weight, {name}: {{{spec}}}}}",
    )


def _example(name: str, signature: Signature) -> list[tuple[str, str]]:
    """Return arguments that a rule may give: those that it must, else the one that it gives most often."""
    required = [(each.name, _EXAMPLES.get(each.type, "0.1")) for each in signature.arguments if each.required]
    main = BUILT_IN[name].main if name in BUILT_IN else None
    for each in sorted(signature.arguments, key=lambda argument: argument.name != main):
        value = _plain(each)
        if not required and value is not None:
            return [(each.name, value)]
    return required


def _plain(argument: Argument) -> str | None:
    """Return the default as rules write it, or None if they cannot."""
    try:
        value = ast.literal_eval(argument.default or "")
    except (SyntaxError, ValueError):
        return None
    if value is None:
        return "0.1"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) or _is_word(value) else None


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier()
