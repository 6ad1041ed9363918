"""Every initializer that a rule may name, listed without importing one."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.machinery import PathFinder

from paramtool import plugin_file, plugins
from paramtool.errors import ParamtoolError, shorten
from paramtool.language.catalog import Catalog
from paramtool.language.rules import MAIN_ARGUMENT, initializer_signature
from paramtool.language.signature import Argument, Signature
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
TORCH = "torch.nn.init"
OWN_ORIGIN = "paramtool"
_OFFERED = ("generator", "parameter")  # arguments that no rule gives: the tensor's stream and name
_EXAMPLES = {"int": "1", "bool": "true", "str": "weights.safetensors", "int | [int]": "[0,0]"}


def initializers(
    catalog: Catalog,
    name: str | None = None,
    *,
    files: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
) -> Initializers:
    """Return a row for every initializer that is installed, or that a file has.

    Args:
        catalog: the signatures of torch.nn.init.
        name: only those of that name, with all there is to say about them.
        files: Python files of initializers, which are read and not run.
        options: the option of each initializer that has one of its own, as ``--normal STD``.

    Raises:
        ParamtoolError: where there is none of that name, or a file has none.
    """
    rows = [_offered(offer, catalog) for offer in plugins.offers(plugins.INITIALIZERS)]
    for file in dict.fromkeys(files):
        found = plugin_file.initializers(file)
        plugins.refuse_built_in(file, found)
        rows.extend(_of_file(file, node) for node in found.values())
    rows.sort(key=lambda row: row.name)
    if name is not None:
        rows = _called(name, rows)
    own = [row for row in rows if row.origin in (TORCH, OWN_ORIGIN)]
    rows = [replace(row, option=(options or {}).get(row.name)) if row in own else row for row in rows]
    totals = InitializerTotals(initializers=len(rows), plugins=len(rows) - len(own))
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


def _offered(offer: plugins.Offer, catalog: Catalog) -> InitializerRow:
    if isinstance(offer, plugins.FromFile):
        return _of_file(offer.file, plugin_file.initializers(offer.file)[offer.name])
    source = _source(offer.module)
    node = _read(source).get(offer.attr) if source else None
    if plugins.is_built_in(offer):
        origin = TORCH if offer.name in catalog.initializers else OWN_ORIGIN
        return _row(offer.name, initializer_signature(offer.name, catalog), origin, _doc(node))
    origin = f"{offer.dist.name} {offer.dist.version}" if offer.dist else offer.value
    return _row(offer.name, _taken(node) if node else None, origin, _doc(node))


def _of_file(file: str, node: ast.FunctionDef) -> InitializerRow:
    row = _row(node.name, _taken(node), file, _doc(node))
    return replace(row, typed=f"--plugin {shlex.quote(file)} {row.typed}")


def _read(source: str) -> dict[str, ast.FunctionDef]:
    try:
        return plugin_file.functions(source)
    except ParamtoolError:  # of an installed plugin that nobody has asked to run
        return {}


def _source(module: str) -> str | None:
    """Return the file that `import module` would run, found without running its packages."""
    path = None
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        try:
            found = PathFinder.find_spec(".".join(parts[:count]), path)
            path = list(found.submodule_search_locations or ()) if found else []
        except (ImportError, KeyError, ValueError):  # a namespace package in a package
            return None
        if found is None:
            return None
    return found.origin if found and found.origin and found.origin.endswith(".py") else None


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


def _row(name: str, signature: Signature | None, origin: str, doc: str | None) -> InitializerRow:
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
        typed=f"--pattern weight --with {typed}",
        spec=f"{{pattern: weight, {name}: {{{spec}}}}}",
    )


def _example(name: str, signature: Signature) -> list[tuple[str, str]]:
    """Return arguments that a rule may give: those that it must, else the one that it gives most often."""
    required = [(each.name, _EXAMPLES.get(each.type, "0.1")) for each in signature.arguments if each.required]
    main = MAIN_ARGUMENT.get(name)
    for each in sorted(signature.arguments, key=lambda argument: argument.name != main):
        value = _plain(each)
        if not required and value is not None:
            return [(each.name, value)]
    return required


def _plain(argument: Argument) -> str | None:
    """Return the default as rules write it, or None where they cannot."""
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
