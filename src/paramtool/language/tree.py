"""The model that a spec writes down: plain data, one class for each kind of node.

Nothing here is built or imported; `paramtool.network` turns a tree into an ``nn.Module``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from paramtool.place import Place


@dataclass(frozen=True, eq=False)
class ClassNode:
    """A torch.nn class, or a plugin's, with its arguments: ``Linear: {in_features: 4, …}``."""

    type: str
    arguments: Mapping[str, Value]
    place: Place
    signature: str | None = None
    """The accepted signature; None for a plugin's module, which is asked when it is built."""
    positional: tuple[Value, ...] = ()
    """Arguments by position, of a plugin's module only; torch's are all by name."""


@dataclass(frozen=True, eq=False)
class Child:
    """A named member of a container."""

    name: str
    node: Tree
    place: Place


@dataclass(frozen=True, eq=False)
class Container:
    """Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict, Container or Module."""

    type: str
    children: tuple[Child, ...]
    place: Place


@dataclass(frozen=True, eq=False)
class Repeat:
    """`times` independent copies of a module in a Sequential."""

    times: int
    module: Tree
    scope: Scope
    place: Place


@dataclass(frozen=True, eq=False)
class ResidualNode:
    """x + f(x)."""

    module: Tree
    place: Place


@dataclass(frozen=True, eq=False)
class TensorNode:
    """A Parameter, a Buffer or a plain Tensor, or one tensor of the input.

    Attributes:
        kind: ``Parameter``, ``Buffer``, ``Tensor`` or ``input``.
        fill: a number, or the name of a fill: zeros, ones, rand, randn, arange, randint.
        low, high: the bounds of ``randint``, `high` excluded.
        values: the literal values, nested tuples; instead of `shape` and `fill`.
        requires_grad: None for torch's default (True for a Parameter, else False).
        dtype: None for the spec's own (int64 for ``randint``).
        stored: returns the tensor, if a file holds it; `shape` and `dtype` are then the file's.
    """

    kind: str
    place: Place
    shape: tuple[int, ...] | None = None
    fill: str | float = "zeros"
    low: int = 0
    high: int | None = None
    values: Numbers | None = None
    requires_grad: bool | None = None
    persistent: bool = True
    dtype: str | None = None
    stored: Callable[[], Any] | None = None


@dataclass(frozen=True, eq=False)
class DefineUse:
    """One use of a defined name: a new module every time."""

    define: Define
    place: Place


@dataclass(frozen=True, eq=False)
class Anchored:
    """An anchored node: one module, however many aliases name it."""

    node: Tree
    scope: Scope | None
    """The recipe that the anchor is written in, so that each of its copies has its own."""
    place: Place


@dataclass(eq=False)
class Scope:
    """A part of the spec that is built anew at each use: a define, or the module of a Repeat."""


@dataclass(eq=False)
class Define:
    """A recipe: a name and the module it stands for; `node` is set once it is read."""

    name: str
    place: Place
    scope: Scope
    node: Tree | None = None


@dataclass(frozen=True)
class DtypeName:
    """A dtype given as an argument, by torch's name."""

    name: str


Tree: TypeAlias = ClassNode | Container | Repeat | ResidualNode | TensorNode | DefineUse | Anchored
Numbers: TypeAlias = "bool | int | float | tuple[Numbers, ...]"
Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | DtypeName | Tree | None"


def bottom(node: Tree) -> Tree:
    """Return what an anchored node is."""
    while isinstance(node, Anchored):
        node = node.node
    return node
