"""Assemble the modules of a spec from its tree, node by node as `paramtool.network` builds them."""

from __future__ import annotations

from collections.abc import Callable

from paramtool.language.document import Spec
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
from paramtool.structure.facts import check_torch, shipped_facts
from paramtool.structure.modules import Module, Slot, Tensor, again, walk
from paramtool.structure.table import make
from paramtool.structure.unsure import Unsure, require
from paramtool.structure.written_tensors import as_parameter, make_tensor

_RESIDUAL = ("Residual", "Module")


def assemble(spec: Spec) -> Module:
    """Return the modules of `spec`, before anything is tied or frozen.

    Raises:
        Unsure: if torch might build something else, warn or refuse.
    """
    check_torch()
    return assemble_for_any(spec)


def assemble_for_any(spec: Spec) -> Module:
    """Return the modules of `spec`, whatever torch is installed: for suggestions, not for answers.

    Raises:
        Unsure: if the torch that the table was checked against might build something else, warn or refuse.
    """
    try:
        return _Assembler(spec.dtype or "float32").module(spec.model)
    except RecursionError as error:
        raise Unsure("deep nesting") from error


class _Assembler:
    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._facts = shipped_facts()
        self._built: dict[Scope | None, dict[int, Module | Tensor]] = {None: {}}
        self._calls: dict[int, Module] = {}  # the modules of calls without modules or tensors, by their ids
        self._ways: dict[type, Callable[..., Module | Tensor]] = {
            ClassNode: self._call,
            Container: self._container,
            Repeat: self._repeat,
            ResidualNode: self._residual,
            TensorNode: lambda node: make_tensor(node, self._dtype),
            DefineUse: self._use,
        }

    def module(self, node: Tree) -> Module:
        built = self._build(node)
        if not isinstance(built, Module):
            raise Unsure("a tensor in the place of a module")
        return built

    def _build(self, node: Tree) -> Module | Tensor:
        if isinstance(node, Anchored):
            return self._shared(node)
        built = self._ways[type(node)](node)
        built.place = node.place
        return built

    def _shared(self, node: Anchored) -> Module | Tensor:
        built = self._built[node.scope]
        if id(node) not in built:
            built[id(node)] = self._build(node.node)
        return built[id(node)]

    def _copy(self, node: Tree, scope: Scope) -> Module:
        """Build one copy of a recipe: an anchor in it is one new module for each copy."""
        around = self._built.get(scope)
        self._built[scope] = {}
        try:
            return self.module(node)
        finally:
            if around is None:
                del self._built[scope]
            else:
                self._built[scope] = around

    def _use(self, node: DefineUse) -> Module:
        recipe = node.define.node
        assert recipe is not None
        module = self._copy(recipe, node.define.scope)
        if isinstance(bottom(recipe), (Container, Repeat, ResidualNode)):
            module.bases = (node.define.name, *module.bases)
            module.type = node.define.name
        return module

    def _repeat(self, node: Repeat) -> Module:
        module = Module("Sequential", self._facts.bases["Sequential"])
        for index in range(node.times):
            module.children[str(index)] = self._copy(node.module, node.scope)
        return module

    def _residual(self, node: ResidualNode) -> Module:
        module = Module("Residual", _RESIDUAL)
        module.children["module"] = self.module(node.module)
        return module

    def _container(self, node: Container) -> Module:
        taken = self._facts.taken.get(node.type)
        if taken is None:
            raise Unsure(f"{node.type} is deprecated")
        module = Module(node.type, self._facts.bases[node.type])
        for child in node.children:
            require(child.name not in taken and not child.name.startswith("__"), "a name that is taken")
            require(child.name != "" and "." not in child.name, "a name that is refused")
            built = self._build(child.node)
            if isinstance(built, Module):
                module.children[child.name] = built
            else:
                _add_tensor(module, child, built)
        if node.type == "ParameterDict":  # to which torch adds a plain dict by its sorted keys
            _sort(module)
        return module

    def _call(self, node: ClassNode) -> Module:
        require(node.signature is not None, "a plugin")
        known = self._calls.get(id(node))
        if known is not None:
            return again(known)
        arguments = {name: self._value(value) for name, value in node.arguments.items()}
        module = make(node.type, arguments, self._dtype)
        if not any(isinstance(each, (Module, Tensor)) for each in arguments.values()):
            for prefix, part in walk(module):
                for slot, tensor in zip(part.slots, part.tensors, strict=True):
                    tensor.source = node, prefix + slot.name
            self._calls[id(node)] = again(module)
        return module

    def _value(self, value: Value) -> object:
        if isinstance(value, DtypeName):
            return value.name
        if isinstance(value, Tree):
            return self._build(value)
        return value


def _add_tensor(module: Module, child: Child, tensor: Tensor) -> None:
    """Put a tensor that the spec writes down into a container."""
    name, node = child.name, bottom(child.node)
    assert isinstance(node, TensorNode)
    if node.kind == "Parameter":
        module.add(Slot(name, "parameter"), tensor)
    elif module.type in ("ParameterList", "ParameterDict"):
        module.add(Slot(name, "parameter"), as_parameter(tensor, isinstance(child.node, Anchored)))
    elif node.kind == "Buffer":
        module.add(Slot(name, "buffer", node.persistent), tensor)
    else:
        module.add(Slot(name, "tensor"), tensor)


def _sort(module: Module) -> None:
    pairs = sorted(zip(module.slots, module.tensors, strict=True), key=lambda pair: pair[0].name)
    module.slots = [slot for slot, _ in pairs]
    module.tensors = [tensor for _, tensor in pairs]
