"""Build an ``nn.Module`` from the tree of a spec; what torch refuses is reported at its node."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError, first_line, shorten
from paramtool.language.tree import (
    Anchored,
    Child,
    ClassNode,
    Container,
    DefineUse,
    DtypeName,
    Repeat,
    ResidualNode,
    Scope,
    TensorNode,
    Tree,
    Value,
    bottom,
)
from paramtool.network.residual import Residual
from paramtool.network.spec_tensors import make_tensor
from paramtool.place import Place
from paramtool.plugins import entry_points

_NODES = (ClassNode, Container, Repeat, ResidualNode, TensorNode, DefineUse, Anchored)


class Builder:
    """Builds trees; gathers what torch refuses in `problems` and its warnings in `notes`.

    `origins` has each module and tensor that a node asked for, and the place of that node, by its id.
    """

    def __init__(self) -> None:
        self.problems: list[ParamtoolError] = []
        self.notes: list[str] = []
        self.origins: dict[int, tuple[nn.Module | Tensor, Place]] = {}
        self._built: dict[Scope | None, dict[int, nn.Module | Tensor]] = {None: {}}
        self._classes: dict[tuple[str, type[nn.Module]], type[nn.Module]] = {}

    def module(self, node: Tree) -> nn.Module:
        """Return the module of `node`; an Identity in the place of one that torch refused."""
        built = self._build(node)
        return built if isinstance(built, nn.Module) else nn.Identity()

    def _build(self, node: Tree) -> nn.Module | Tensor:
        built = self._build_new(node)
        if not isinstance(node, Anchored):  # which is what was anchored
            self.origins[id(built)] = built, node.place
        return built

    def _build_new(self, node: Tree) -> nn.Module | Tensor:
        try:
            if isinstance(node, Anchored):
                return self._shared(node)
            if isinstance(node, DefineUse):
                return self._use(node)
            if isinstance(node, Container):
                return self._container(node)
            if isinstance(node, Repeat):
                return nn.Sequential(*(self._copy(node.module, node.scope) for _ in range(node.times)))
            if isinstance(node, ResidualNode):
                return Residual(self.module(node.module))
            if isinstance(node, TensorNode):
                return make_tensor(node)
            return self._call(node)
        except _REFUSALS as error:
            self._refuse(node, error)
            return nn.Identity()

    def _shared(self, node: Anchored) -> nn.Module | Tensor:
        built = self._built[node.scope]
        if id(node) not in built:
            built[id(node)] = self._build(node.node)
        return built[id(node)]

    def _copy(self, node: Tree, scope: Scope) -> nn.Module:
        """Build one copy of a recipe: its anchors are new, and each is one module within it."""
        around = self._built.get(scope)
        self._built[scope] = {}
        try:
            return self.module(node)
        finally:
            if around is None:
                del self._built[scope]
            else:
                self._built[scope] = around

    def _use(self, node: DefineUse) -> nn.Module:
        assert node.define.node is not None
        module = self._copy(node.define.node, node.define.scope)
        if isinstance(bottom(node.define.node), (Container, Repeat, ResidualNode)):
            module.__class__ = self._named_class(node.define.name, type(module))
        return module

    def _named_class(self, name: str, base: type[nn.Module]) -> type[nn.Module]:
        """Return a class that is `base` under the name of the define, as a class statement makes."""
        key = (name, base)
        if key not in self._classes:
            self._classes[key] = type(name, (base,), {"__module__": "model", "__doc__": base.__doc__})
        return self._classes[key]

    def _container(self, node: Container) -> nn.Module:
        if node.type in ("ParameterList", "ParameterDict"):
            return self._parameters(node)
        module = self._made(node, getattr(nn, node.type))
        for child in node.children:
            try:
                _add(module, child, self._build(child.node))
            except _REFUSALS as error:
                self.problems.append(_name_refused(node, child, error))
        return module

    def _parameters(self, node: Container) -> nn.Module:
        tensors = {child.name: self._build(child.node) for child in node.children}
        if node.type == "ParameterList":
            return nn.ParameterList(tensors.values())
        return nn.ParameterDict(tensors)

    def _call(self, node: ClassNode) -> nn.Module:
        positional = [self._value(value) for value in node.positional]
        named = {name: self._value(value) for name, value in node.arguments.items()}
        make = getattr(nn, node.type) if node.signature else _plugin_class(node)
        return self._made(node, make, *positional, **named)

    def _made(
        self, node: ClassNode | Container, make: Callable[..., object], *positional: object, **named: object
    ) -> nn.Module:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module = make(*positional, **named)
        self.notes.extend(f"{node.place}: torch warns: {_first_line(each.message)}" for each in caught)
        if not isinstance(module, nn.Module):
            got = type(module).__name__
            raise TypeError(f"the plugin '{node.type}' made {got}, which is not a torch.nn.Module")
        return module

    def _value(self, value: Value) -> object:
        if isinstance(value, DtypeName):
            return getattr(torch, value.name)
        if isinstance(value, _NODES):
            return self._build(value)
        return value

    def _refuse(self, node: Tree, error: BaseException) -> None:
        if isinstance(error, ParamtoolError):
            self.problems.append(ParamtoolError(error.message, node.place, error.hint))
            return
        name = _called(node)
        signature = node.signature if isinstance(node, ClassNode) else None
        is_plugin = isinstance(node, ClassNode) and signature is None
        who = f"the plugin {name} fails" if is_plugin else f"torch refuses {name}"
        hint = f"it is {signature}" if signature else None
        self.problems.append(ParamtoolError(f"{who}: {_first_line(error)}", node.place, hint))


_REFUSALS = (Exception,)
"""Torch refuses with whatever is at hand: ValueError, RuntimeError, AssertionError, KeyError, …"""


def _add(module: nn.Module, child: Child, built: nn.Module | Tensor) -> None:
    """Register a member; a plain attribute is held to the rules that torch has for the others."""
    name = child.name
    if isinstance(built, nn.Module):
        module.add_module(name, built)
    elif isinstance(built, nn.Parameter):
        module.register_parameter(name, built)
    else:
        tensor = bottom(child.node)
        if hasattr(module, name):
            raise KeyError(f"attribute '{name}' already exists")
        if isinstance(tensor, TensorNode) and tensor.kind == "Buffer":
            module.register_buffer(name, built, persistent=tensor.persistent)
        else:
            setattr(module, name, built)


def _name_refused(node: Container, child: Child, error: BaseException) -> ParamtoolError:
    message = f"torch refuses the name '{shorten(child.name)}' in {node.type}: {_first_line(error)}"
    return ParamtoolError(message, child.place, "choose another name")


def _plugin_class(node: ClassNode) -> type[nn.Module]:
    entry = entry_points.find(entry_points.MODULES, node.type)
    if entry is None:
        raise ParamtoolError(f"the plugin '{node.type}' is no longer available")
    found = entry.load()
    if not callable(found):
        raise ParamtoolError(f"the plugin '{node.type}' of {entry.owner} is not a class")
    return found  # type: ignore[return-value]


def _called(node: Tree) -> str:
    """Return what the spec calls `node`."""
    if isinstance(node, (ClassNode, Container)):
        return node.type
    if isinstance(node, TensorNode):
        return node.kind
    return node.define.name if isinstance(node, DefineUse) else type(node).__name__.removesuffix("Node")


def _first_line(error: object) -> str:
    return shorten(first_line(error), 300)
