"""Read nodes of torch.nn's classes: containers with their members, all others with their arguments."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Protocol

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.arguments import bind, fits, mismatch, missing
from paramtool.language.catalog import Catalog
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe, is_nothing
from paramtool.language.signature import Argument
from paramtool.language.tensors import read_tensor
from paramtool.language.tree import Child, ClassNode, Container, TensorNode, Tree, Value, bottom
from paramtool.language.values import Mismatch, convert, plain
from paramtool.plugins import entry_points
from paramtool.suggestion import suggest


class ReadsNodes(Protocol):
    """Reads nodes within nodes; an error in one does not keep its neighbours from being read."""

    @property
    def catalog(self) -> Catalog:
        """What torch has."""

    def module(self, node: Node, tensors: tuple[str, ...] = ()) -> Tree | None:
        """Return the tree of a module node, or None for one that is wrong and was reported.

        `tensors` names the tensor constructs that are allowed as well.
        """

    def report(self, error: ParamtoolError) -> None:
        """Keep an error beside which reading goes on."""

    @property
    def names(self) -> Collection[str]:
        """Every name that a module node may have here."""


TENSORS = ("Parameter", "Buffer", "Tensor")
LISTS = ("Sequential", "ModuleList", "ParameterList")
NAMED = ("Sequential", "ModuleDict", "ParameterDict", "Module", "Container")
ONLY_TENSORS = ("ParameterList", "ParameterDict")

_HOLDS_TENSORS = {"Module": TENSORS, **dict.fromkeys(ONLY_TENSORS, ("Parameter", "Tensor"))}


def read_container(key: Scalar, given: Node | None, reader: ReadsNodes) -> Container:
    """Return the container `key` with the children that `given` writes.

    Raises:
        ParamtoolError: if `given` is not a list or mapping that the container takes.
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
        raise ParamtoolError(message, given.place, "e.g. {head: {Linear: …}}")
    items = given.items if isinstance(given, Sequence) else [given]
    return _with_children(key, ((str(index), item, item) for index, item in enumerate(items)), reader)


def _is_named(name: Scalar, node: Node, reader: ReadsNodes) -> bool:
    """Return whether this is a child with a name, and report what it is otherwise."""
    if name.raw == "" or "." in name.raw:
        message = f"torch refuses the name '{shorten(name.raw)}'"
        reader.report(ParamtoolError(message, name.place, "it must not be empty or contain a dot"))
        return False
    if is_nothing(node) or (isinstance(node, Sequence) and name.raw in reader.names):
        message = f"expected a module for '{shorten(name.raw)}', got {describe(node)}"
        hint = "write modules without names as a list, with '-' before each"
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
            reader.report(ParamtoolError(message, node.place, "e.g. {Parameter: [3, 4]}"))
        children.append(Child(name, tree, written.place))
    return Container(key.raw, tuple(children), key.place)


_PYTHON = re.compile(r"(?:[A-Za-z_]+\.)*(?P<name>[A-Za-z0-9_]+)(?:\((?P<arguments>[^()]{0,60})\))?")
_ANYTHING = Argument("argument")


def read_class(key: Scalar, given: Node | None, reader: ReadsNodes) -> ClassNode:
    """Return the call of the class `key` with the arguments that `given` writes.

    Raises:
        ParamtoolError: if neither torch nor a plugin has the class.
    """
    signature = reader.catalog.module(key.raw, lambda each: fits(each, given))
    if signature is None:
        return _plugin(key, given, reader)
    values, problems = bind(signature, given, lambda node, argument: _value(key.raw, node, argument, reader))
    named = {name.raw for name, _ in given.entries} if isinstance(given, Mapping) else set(values)
    absent = missing(signature, named, key) if isinstance(given, Mapping) or not problems else None
    for problem in (*problems, absent):
        if problem is not None:
            reader.report(problem)
    return ClassNode(key.raw, values, key.place, str(signature))


def _plugin(key: Scalar, given: Node | None, reader: ReadsNodes) -> ClassNode:
    """Return the call of a plugin's module, whose signature is asked when it is built."""
    try:
        entry = entry_points.find(entry_points.MODULES, key.raw)
    except ParamtoolError as error:
        raise ParamtoolError(error.message, key.place, error.hint) from error
    if entry is None:
        message = f"unknown module '{shorten(key.raw)}'"
        hint = _as_python(key.raw, reader) or suggest(key.raw, reader.names)
        raise ParamtoolError(message, key.place, hint)
    named: dict[str, Value] = {}
    positional: list[Value] = []
    if isinstance(given, Mapping):
        for name, node in given.entries:
            named[name.raw] = _value(key.raw, node, _ANYTHING, reader)
    elif given is not None and not is_nothing(given):
        for node in given.items if isinstance(given, Sequence) else [given]:
            positional.append(_value(key.raw, node, _ANYTHING, reader))
    return ClassNode(key.raw, named, key.place, None, tuple(positional))


def _as_python(word: str, reader: ReadsNodes) -> str | None:
    """Translate ``nn.Linear(4, 8)``, a habit of those who come from Python."""
    found = _PYTHON.fullmatch(word)
    if found is None or found["name"] not in reader.names:
        return None
    given = (found["arguments"] or "").strip()
    if not given:
        return f"write {found['name']}"
    if "=" in given:
        return f"write {found['name']}: {{{given.replace('=', ': ')}}}"
    return f"write {found['name']}: [{given}]"


def _value(owner: str, node: Node, argument: Argument, reader: ReadsNodes) -> Value:
    """Return the value of an argument: plain, a module's tree, or a tensor's."""
    kind = argument.parsed_type
    anything = kind.allows("any")
    tensors = ("Tensor",) if anything or kind.allows("tensor") else ()
    one_key = isinstance(node, Mapping) and len(node.entries) == 1
    if one_key and (tensors or kind.allows("module")):
        tree = reader.module(node, tensors)
        if tree and not (anything or kind.allows("module") or isinstance(bottom(tree), TensorNode)):
            raise mismatch(owner, argument, node, reader.catalog.dtypes)
        return tree
    is_word = isinstance(node, Scalar) and isinstance(node.value, str)
    if is_word and kind.allows("module") and not kind.allows("str"):
        return reader.module(node)
    if kind.allows("tensor") and isinstance(node, Sequence):
        return read_tensor("Tensor", _as_values(node), reader.catalog.dtypes)
    try:
        return plain(node) if anything else convert(node, kind, reader.catalog.dtypes)
    except Mismatch:
        raise mismatch(owner, argument, node, reader.catalog.dtypes) from None


def _as_values(node: Sequence) -> Mapping:
    """Read a bare list of numbers as ``{values: […]}``."""
    key = Scalar(node.text, node.line, node.column, "values", "values")
    return Mapping(node.text, node.line, node.column, [(key, node)])
