"""Read containers: modules, and tensors where they may be, by position or by name."""

from __future__ import annotations

from collections.abc import Iterable

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.nested import ReadsNodes
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe, is_nothing
from paramtool.language.tree import Child, Container, TensorNode, bottom

TENSORS = ("Parameter", "Buffer", "Tensor")
LISTS = ("Sequential", "ModuleList", "ParameterList")
NAMED = ("Sequential", "ModuleDict", "ParameterDict", "Module", "Container")
ONLY_TENSORS = ("ParameterList", "ParameterDict")

_HOLDS_TENSORS = {"Module": TENSORS, **dict.fromkeys(ONLY_TENSORS, ("Parameter", "Tensor"))}


def read_container(key: Scalar, given: Node | None, reader: ReadsNodes) -> Container:
    """Return the container `key` with the children that `given` writes.

    Raises:
        ParamtoolError: where `given` is no list or mapping that the container takes.
    """
    name = key.raw
    if given is None or is_nothing(given):
        return Container(name, (), key.place)
    if isinstance(given, Mapping):
        if name not in NAMED:
            raise ParamtoolError(f"{name} takes a list, got a mapping", given.place, "write '-' before each")
        members = [(each.raw, each, node) for each, node in given.entries if _is_named(each, node, reader)]
        return _with_children(key, members, reader)
    if name not in LISTS:
        message = f"{name} takes a mapping of names to nodes, got {describe(given)}"
        raise ParamtoolError(message, given.place, "as in {head: {Linear: …}}")
    items = given.items if isinstance(given, Sequence) else [given]
    return _with_children(key, ((str(index), item, item) for index, item in enumerate(items)), reader)


def _is_named(name: Scalar, node: Node, reader: ReadsNodes) -> bool:
    """Tell whether this is a child with a name, and report what it is otherwise."""
    if name.raw == "" or "." in name.raw:
        message = f"torch refuses the name '{shorten(name.raw)}'"
        reader.report(ParamtoolError(message, name.place, "no dot, not empty"))
        return False
    if is_nothing(node) or (isinstance(node, Sequence) and name.raw in reader.names):
        message = f"expected a module for '{shorten(name.raw)}', got {describe(node)}"
        hint = "modules without names are a list, with '-' before each"
        reader.report(ParamtoolError(message, node.place, hint))
        return False
    return True


def _with_children(key: Scalar, members: Iterable[tuple[str, Node, Node]], reader: ReadsNodes) -> Container:
    allowed = _HOLDS_TENSORS.get(key.raw, ())
    children = []
    for name, written, node in members:
        tree = reader.module(node, allowed)
        if tree is None:
            continue
        if key.raw in ONLY_TENSORS and not isinstance(bottom(tree), TensorNode):
            message = f"{key.raw} holds tensors, not modules"
            reader.report(ParamtoolError(message, node.place, "as in {Parameter: [3, 4]}"))
        children.append(Child(name, tree, written.place))
    return Container(key.raw, tuple(children), key.place)
