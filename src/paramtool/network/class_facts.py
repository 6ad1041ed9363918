"""Collect the facts about the installed torch that the table of `paramtool.structure` needs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from paramtool.network.signatures import catalog, module_names
from paramtool.structure.facts import Facts
from paramtool.structure.table import TABLE

_CONTAINERS = ("Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict", "Module")

_HARMLESS_CALLS = (
    "super", "super().__init__", "_single", "_pair", "_triple", "_quadruple", "_ntuple", "_ntuple(4)",
    "_ntuple(6)",
)  # fmt: skip
_HARMLESS_NODES = (
    ast.FunctionDef, ast.arguments, ast.arg, ast.Expr, ast.Assign, ast.Call, ast.keyword, ast.Name,
    ast.Attribute, ast.Constant, ast.IfExp, ast.Compare, ast.Is, ast.IsNot, ast.Load, ast.Store,
    ast.Pass, ast.Starred,
)  # fmt: skip


def class_facts() -> Facts:
    """Return the facts about the torch that is imported."""
    classes = {name: getattr(nn, name) for name in module_names()}
    classes["NonDynamicallyQuantizableLinear"] = NonDynamicallyQuantizableLinear
    return Facts(
        torch.__version__.partition("+")[0],
        {name: _bases(each) for name, each in sorted(classes.items())},
        frozenset(name for name, each in classes.items() if name not in TABLE and _is_plain(each)),
        {name: frozenset(_taken(classes[name]())) for name in _CONTAINERS},
        {name: getattr(torch, name).itemsize for name in catalog().dtypes},
    )


def _taken(container: nn.Module) -> Iterator[str]:
    """Yield the names that members cannot have, but ``__names__``: each Python has others of those."""
    return (name for name in dir(container) if not name.startswith("__"))


def _bases(kind: type) -> tuple[str, ...]:
    return tuple(base.__name__ for base in kind.__mro__ if issubclass(base, nn.Module))


def _is_plain(kind: type[nn.Module]) -> bool:
    """Whether constructors do no more than keep their arguments: nothing that can refuse, warn or add."""
    if kind.__name__ in (*_CONTAINERS, "Container") or hasattr(kind, "__deprecated__"):
        return False
    own = kind.__mro__[: kind.__mro__.index(nn.Module)]
    return all(_is_harmless(vars(base)["__init__"]) for base in own if "__init__" in vars(base))


def _is_harmless(constructor: Callable[..., None]) -> bool:
    definition = ast.parse(textwrap.dedent(inspect.getsource(constructor))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    return all(_is_harmless_node(node) for statement in definition.body for node in ast.walk(statement))


def _is_harmless_node(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and ast.unparse(node.func) not in _HARMLESS_CALLS:
        return False
    return isinstance(node, _HARMLESS_NODES)
