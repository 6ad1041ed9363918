"""Read module nodes: names to torch.nn classes, constructs, defines and plugins."""

from __future__ import annotations

from paramtool import plugins
from paramtool.errors import ParamtoolError
from paramtool.sources.spec import recipes
from paramtool.sources.spec.arguments import bind, mismatch, missing
from paramtool.sources.spec.catalog import Catalog
from paramtool.sources.spec.nodes import Mapping, Node, Scalar, Sequence, describe, is_nothing, shorten
from paramtool.sources.spec.signature import Argument, Signature
from paramtool.sources.spec.tensors import read_tensor
from paramtool.sources.spec.tree import (
    Call,
    Child,
    Container,
    Define,
    Repeat,
    Residual,
    Scope,
    Shared,
    TensorNode,
    Use,
    Value,
)
from paramtool.sources.spec.tree import Node as Tree
from paramtool.sources.spec.values import Mismatch, convert, plain
from paramtool.suggestion import did_you_mean

TENSORS = ("Parameter", "Buffer", "Tensor")
LISTS = ("Sequential", "ModuleList", "ParameterList")
NAMED = ("Sequential", "ModuleDict", "ParameterDict", "Module", "Container")
CONSTRUCTS = (*dict.fromkeys((*LISTS, *NAMED)), "Repeat", "Residual", *TENSORS)

HOLDS_TENSORS = {
    "Module": TENSORS,
    "ParameterList": ("Parameter", "Tensor"),
    "ParameterDict": ("Parameter", "Tensor"),
}
ONLY_TENSORS = ("ParameterList", "ParameterDict")

REPEAT = Signature("Repeat", (Argument("times", "int"), Argument("module", "module")))


class ModuleReader:
    """Turns nodes into a tree and gathers every problem on the way.

    A node that is wrong gives None and an entry in `problems`; reading goes on beside it.
    """

    def __init__(self, catalog: Catalog, defines: Mapping | None = None) -> None:
        self.catalog = catalog
        self.problems: list[ParamtoolError] = []
        self._scopes: dict[int, Scope] = {}  # by id of the recipe's root node
        self._inside: list[Scope] = []
        self._shared: dict[int, Shared | None] = {}  # by id of the anchored node
        self._defines_node = defines
        self._defines = {
            key.raw: (Define(key.raw, key.place, self._scope(node)), node)
            for key, node in (defines.entries if defines else ())
        }
        self._read: set[str] = set()  # the defines that are read or being read
        self._reading: list[str] = []
        for define, _ in self._defines.values():
            self._check_define_name(define)

    def read_defines(self) -> None:
        """Read the defines that nothing used, for their errors."""
        for name in self._defines:
            self._read_define(name)

    def module(self, node: Node, tensors: tuple[str, ...] = ()) -> Tree | None:
        """Return the tree of a module node; `tensors` names the tensor constructs allowed here."""
        if node.anchor is None:
            return self._bare(node, tensors)
        if id(node) not in self._shared:
            self._shared[id(node)] = self._anchored(node, tensors)
        shared = self._shared[id(node)]
        bottom = _bottom(shared) if shared else None
        if isinstance(bottom, TensorNode) and bottom.kind not in tensors:
            return self._complain(f"'*{shorten(node.anchor)}' is a tensor, and a module goes here", node)
        if shared and shared.scope and shared.scope not in self._inside:
            self._complain(
                f"the anchor '{shorten(node.anchor)}' lies in a recipe, whose every copy has its own;"
                " an alias outside names none of them",
                node,
            )
        return shared

    def _anchored(self, node: Node, tensors: tuple[str, ...]) -> Shared | None:
        self._shared[id(node)] = None
        root = recipes.root(node, self._defines_node)
        tree = self._bare(node, tensors)
        return None if tree is None else Shared(tree, self._scope(root) if root else None, node.place)

    def _bare(self, node: Node, tensors: tuple[str, ...]) -> Tree | None:
        found = self._type_and_arguments(node)
        if found is None:
            return None
        key, given = found
        name = key.raw
        if name in self._defines:
            return self._use(key, given)
        if name in TENSORS:
            return self._tensor(key, given, tensors)
        if name in LISTS or name in NAMED:
            return self._container(key, given)
        if name == "Repeat":
            return self._repeat(key, given)
        if name == "Residual":
            return self._residual(key, given)
        return self._call(key, given, node)

    def _type_and_arguments(self, node: Node) -> tuple[Scalar, Node | None] | None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node, None
        if isinstance(node, Mapping) and len(node.entries) == 1:
            return node.entries[0]
        hint = "as in 'ReLU' or {Linear: [3, 1]}"
        got = describe(node)
        if isinstance(node, Mapping):
            got = f"a mapping of {len(node.entries)} keys"
            if len(node.entries) > 1 and all(self._is_known(key.raw) for key, _ in node.entries):
                hint = "several modules are a list, with '-' before each"
        elif isinstance(node, Sequence):
            hint = "several modules go in a container, as in {Sequential: […]}"
        return self._complain(f"expected a module, got {got}", node, hint)

    def _is_known(self, name: str) -> bool:
        return name in CONSTRUCTS or name in self._defines or name in self.catalog.modules

    def _complain(self, message: str, node: Node, hint: str | None = None) -> None:
        self.problems.append(ParamtoolError(message, node.place, hint))

    # constructs

    def _tensor(self, key: Scalar, given: Node | None, allowed: tuple[str, ...]) -> TensorNode | None:
        if key.raw not in allowed:
            hint = f"here {' or '.join(allowed)} is" if allowed else "put it in a Module, as a named member"
            return self._complain(f"{key.raw} is a tensor, not a module", key, hint)
        if given is None:
            return self._complain(f"{key.raw} lacks a shape", key, f"as in {{{key.raw}: [3, 4]}}")
        try:
            return read_tensor(key.raw, given, self.catalog.dtypes)
        except ParamtoolError as error:
            self.problems.append(error)
            return None

    def _container(self, key: Scalar, given: Node | None) -> Container | None:
        name = key.raw
        if given is None or is_nothing(given):
            return Container(name, (), key.place)
        if isinstance(given, Mapping):
            if name in NAMED:
                return self._named_children(key, given)
            return self._complain(f"{name} takes a list, got a mapping", given, "write '-' before each")
        if name in LISTS:
            items = given.items if isinstance(given, Sequence) else [given]
            return self._children(key, [(str(index), item, item) for index, item in enumerate(items)])
        return self._complain(
            f"{name} takes a mapping of names to nodes, got {describe(given)}",
            given,
            "as in {head: {Linear: …}}",
        )

    def _named_children(self, key: Scalar, given: Mapping) -> Container | None:
        members = []
        for name, node in given.entries:
            if name.raw == "" or "." in name.raw:
                self._complain(f"torch refuses the name '{shorten(name.raw)}'", name, "no dot, not empty")
            elif is_nothing(node) or (isinstance(node, Sequence) and self._is_known(name.raw)):
                hint = "modules without names are a list, with '-' before each"
                self._complain(
                    f"expected a module for '{shorten(name.raw)}', got {describe(node)}", node, hint
                )
            else:
                members.append((name.raw, name, node))
        return self._children(key, members)

    def _children(self, key: Scalar, members: list[tuple[str, Node, Node]]) -> Container | None:
        allowed = HOLDS_TENSORS.get(key.raw, ())
        children = []
        for name, written, node in members:
            tree = self.module(node, allowed)
            if tree is None:
                continue
            if key.raw in ONLY_TENSORS and not isinstance(_bottom(tree), TensorNode):
                self._complain(f"{key.raw} holds tensors, not modules", node, "as in {Parameter: [3, 4]}")
            children.append(Child(name, tree, written.place))
        return Container(key.raw, tuple(children), key.place)

    def _repeat(self, key: Scalar, given: Node | None) -> Repeat | None:
        if not isinstance(given, Mapping):
            return self._complain("Repeat lacks 'times' and 'module'", key, "as in {times: 3, module: …}")
        values, problems = bind(
            REPEAT, given, lambda each, argument: self._repeat_value(each, argument, given)
        )
        absent = missing(REPEAT, {name.raw for name, _ in given.entries}, key)
        self.problems.extend([*problems, *([absent] if absent else [])])
        times, module = values.get("times"), values.get("module")
        if not isinstance(times, int) or not isinstance(module, Tree):
            return None
        node = given.get("module")
        assert node is not None
        return Repeat(times, module, self._scope(node), key.place)

    def _repeat_value(self, node: Node, argument: Argument, given: Mapping) -> Value:
        if argument.name == "times":
            if not isinstance(node, Scalar) or type(node.value) is not int or node.value < 0:
                raise mismatch("Repeat", argument, node)
            return node.value
        if recipes.is_alias(node, given):
            hint = "list the alias as often as needed, or define a name"
            raise ParamtoolError(
                "Repeat makes independent copies, and an alias is one module", node.place, hint
            )
        return self._recipe(node)

    def _residual(self, key: Scalar, given: Node | None) -> Residual | None:
        if given is None or is_nothing(given):
            return self._complain("Residual lacks its module", key, "as in {Residual: {Linear: [4, 4]}}")
        module = self.module(given)
        return None if module is None else Residual(module, key.place)

    # recipes

    def _scope(self, root: Node) -> Scope:
        return self._scopes.setdefault(id(root), Scope())

    def _recipe(self, root: Node) -> Tree | None:
        self._inside.append(self._scope(root))
        try:
            return self.module(root)
        finally:
            self._inside.pop()

    def _use(self, key: Scalar, given: Node | None) -> Use | None:
        name = key.raw
        if given is not None and not is_nothing(given):
            return self._complain(f"'{name}' is a define and takes no arguments", given)
        if name in self._reading:
            chain = " → ".join([*self._reading, name])
            return self._complain(f"the define '{name}' uses itself ({shorten(chain)})", key)
        self._read_define(name)
        return Use(self._defines[name][0], key.place)

    def _read_define(self, name: str) -> None:
        if name in self._read:
            return
        self._read.add(name)
        define, node = self._defines[name]
        if recipes.is_alias(node, self._defines_node):
            return self._complain(f"the define '{name}' is a recipe, and an alias is one module", node)
        around, self._inside = self._inside, []
        self._reading.append(name)
        define.node = self._recipe(node)
        self._reading.pop()
        self._inside = around

    def _check_define_name(self, define: Define) -> None:
        if define.name in CONSTRUCTS or define.name in self.catalog.modules:
            message = f"'{shorten(define.name)}' is a name of torch.nn or of the language"
            self.problems.append(ParamtoolError(message, define.place, "define another name"))

    # calls

    def _call(self, key: Scalar, given: Node | None, node: Node) -> Call | None:
        signature = self.catalog.module(key.raw)
        if signature is None:
            return self._plugin(key, given)
        values, problems = bind(signature, given, lambda each, argument: self._value(key.raw, each, argument))
        named = {name.raw for name, _ in given.entries} if isinstance(given, Mapping) else set(values)
        absent = missing(signature, named, key) if isinstance(given, Mapping) or not problems else None
        self.problems.extend([*problems, *([absent] if absent else [])])
        return Call(key.raw, values, key.place, str(signature))

    def _plugin(self, key: Scalar, given: Node | None) -> Call | None:
        try:
            entry = plugins.find(plugins.MODULES, key.raw)
        except ParamtoolError as error:
            return self._complain(error.message, key, error.hint)
        if entry is None:
            known = [*self._defines, *CONSTRUCTS, *self.catalog.modules, *plugins.names(plugins.MODULES)]
            return self._complain(f"unknown module '{shorten(key.raw)}'", key, did_you_mean(key.raw, known))
        anything = Argument("argument")
        named: dict[str, Value] = {}
        positional: tuple[Value, ...] = ()
        if isinstance(given, Mapping):
            named = {name.raw: self._plugin_value(key.raw, each, anything) for name, each in given.entries}
        elif given is not None and not is_nothing(given):
            items = given.items if isinstance(given, Sequence) else [given]
            positional = tuple(self._plugin_value(key.raw, each, anything) for each in items)
        return Call(key.raw, named, key.place, None, positional)

    def _plugin_value(self, owner: str, node: Node, argument: Argument) -> Value:
        try:
            return self._value(owner, node, argument)
        except ParamtoolError as error:
            self.problems.append(error)
            return None

    def _value(self, owner: str, node: Node, argument: Argument) -> Value:
        """Return the value of an argument: plain, a module's tree, or a tensor's."""
        kind = argument.parsed_type
        module, tensor = (
            kind.allows("module") or kind.allows("any"),
            kind.allows("tensor") or kind.allows("any"),
        )
        one_key = isinstance(node, Mapping) and len(node.entries) == 1
        if one_key and (module or tensor):
            return self.module(node, ("Tensor",) if tensor else ())
        is_word = isinstance(node, Scalar) and isinstance(node.value, str)
        if is_word and kind.allows("module") and not kind.allows("str"):
            return self.module(node)
        if kind.allows("tensor") and isinstance(node, Sequence):
            return read_tensor("Tensor", _values_mapping(node), self.catalog.dtypes)
        try:
            return plain(node) if argument.type == "any" else convert(node, kind, self.catalog.dtypes)
        except Mismatch:
            raise mismatch(owner, argument, node) from None


def _values_mapping(node: Sequence) -> Mapping:
    """Read a bare list of numbers as ``{values: […]}``."""
    key = Scalar(node.text, node.line, node.column, "values", "values")
    return Mapping(node.text, node.line, node.column, [(key, node)])


def _bottom(tree: Tree) -> Tree:
    while isinstance(tree, Shared):
        tree = tree.node
    return tree
