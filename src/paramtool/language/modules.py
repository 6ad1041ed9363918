"""Read module nodes: a name, or ``{Name: arguments}``, and what anchors and defines make of them."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.arguments import bind, missing
from paramtool.language.catalog import Catalog
from paramtool.language.classes import LISTS, NAMED, TENSORS, read_class, read_container
from paramtool.language.limits import MAX_DEPTH
from paramtool.language.nodes import (
    Mapping,
    Node,
    Scalar,
    Sequence,
    describe,
    is_alias,
    is_nothing,
    recipe_root,
)
from paramtool.language.signature import Argument, Signature
from paramtool.language.tensors import read_tensor
from paramtool.language.tree import (
    Anchored,
    Define,
    DefineUse,
    Repeat,
    ResidualNode,
    Scope,
    TensorNode,
    Tree,
    Value,
    bottom,
)
from paramtool.plugins import entry_points

CONSTRUCTS = (*dict.fromkeys((*LISTS, *NAMED)), "Repeat", "Residual", *TENSORS)

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
        self._shared: dict[int, Anchored | None] = {}  # by id of the anchored node
        self._defines_node = defines
        self._defines = {
            key.raw: (Define(key.raw, key.place, self._scope(node)), node)
            for key, node in (defines.entries if defines else ())
        }
        self._first_names = {id(node): name for name, (_, node) in reversed(self._defines.items())}
        self._read: set[str] = set()  # the defines that are read or being read
        self._reading: list[str] = []
        self._depth = 0

    def report(self, error: ParamtoolError) -> None:
        """Keep an error beside which reading goes on."""
        self.problems.append(error.with_traceback(None))  # of 100,000 errors the frames weigh the most

    @cached_property
    def names(self) -> Collection[str]:
        """Every name that a module node may have."""
        offered = entry_points.names(entry_points.MODULES)
        return dict.fromkeys((*CONSTRUCTS, *self.catalog.modules, *offered, *self._defines))

    def read_defines(self) -> None:
        """Read the defines that nothing used, for their errors."""
        for name, (define, _) in self._defines.items():
            if name in CONSTRUCTS or name in self.catalog.modules:
                message = f"'{name}' is already a name in torch.nn or the language"
                self.report(ParamtoolError(message, define.place, "choose another name"))
            self._read_define(name)

    def module(self, node: Node, tensors: tuple[str, ...] = ()) -> Tree | None:
        """Return the tree of a module node; `tensors` names the tensor constructs allowed here."""
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:  # defines nest deeper than the YAML that they are written in
                message = f"modules and defines nested deeper than {MAX_DEPTH} levels"
                raise ParamtoolError(message, node.place)
            return self._bare(node, tensors) if node.anchor is None else self._anchored(node, tensors)
        except ParamtoolError as error:
            self.report(error)
            return None
        finally:
            self._depth -= 1

    def _bare(self, node: Node, tensors: tuple[str, ...]) -> Tree | None:
        key, given = self._name_and_arguments(node)
        name = key.raw
        if name in self._defines:
            return self._use(key, given)
        if name in TENSORS:
            return self._tensor(key, given, tensors)
        if name in LISTS or name in NAMED:
            return read_container(key, given, self)
        if name == "Repeat":
            return self._repeat(key, given)
        if name == "Residual":
            return self._residual(key, given)
        return read_class(key, given, self)

    def _anchored(self, node: Node, tensors: tuple[str, ...]) -> Anchored | None:
        if id(node) not in self._shared:
            self._shared[id(node)] = None
            tree = self._bare(node, tensors)
            root = recipe_root(node, self._defines_node)
            scope = self._scope(root) if root else None
            self._shared[id(node)] = Anchored(tree, scope, node.place) if tree else None
        shared = self._shared[id(node)]
        if shared is None:
            return None
        tensor = bottom(shared)
        if isinstance(tensor, TensorNode) and tensor.kind not in tensors:
            message = f"'*{shorten(node.anchor or '')}' is a tensor, but a module is expected here"
            raise ParamtoolError(message, node.place)
        if shared.scope and shared.scope not in self._inside:
            raise ParamtoolError(
                f"the anchor '{shorten(node.anchor or '')}' is inside a recipe, and every copy has its own;"
                " an alias outside cannot name one",
                node.place,
            )
        return shared

    def _name_and_arguments(self, node: Node) -> tuple[Scalar, Node | None]:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node, None
        if isinstance(node, Mapping) and len(node.entries) == 1:
            return node.entries[0]
        hint = "e.g. 'ReLU' or {Linear: [3, 1]}"
        got = describe(node)
        if isinstance(node, Mapping):
            got = f"a mapping of {len(node.entries)} keys" if node.entries else "an empty mapping"
            if node.entries and all(key.raw in self.names for key, _ in node.entries):
                hint = "several modules are a list, with '-' before each"
        elif isinstance(node, Sequence):
            hint = "several modules go in a container, e.g. {Sequential: […]}"
        raise ParamtoolError(f"expected a module, got {got}", node.place, hint)

    # constructs

    def _tensor(self, key: Scalar, given: Node | None, allowed: tuple[str, ...]) -> TensorNode:
        if key.raw not in allowed:
            hint = f"use {' or '.join(allowed)} here" if allowed else "put it in a Module, as a named member"
            raise ParamtoolError(f"{key.raw} is a tensor, not a module", key.place, hint)
        if given is None:
            raise ParamtoolError(f"{key.raw} lacks a shape", key.place, f"e.g. {{{key.raw}: [3, 4]}}")
        return read_tensor(key.raw, given, self.catalog.dtypes)

    def _repeat(self, key: Scalar, given: Node | None) -> Repeat | None:
        if not isinstance(given, Mapping):
            raise ParamtoolError("Repeat lacks 'times' and 'module'", key.place, "e.g. {times: 3, module: …}")
        values, problems = bind(REPEAT, given, lambda node, each: self._repeat_value(node, each, given))
        absent = missing(REPEAT, {name.raw for name, _ in given.entries}, key)
        for problem in (*problems, absent):
            if problem is not None:
                self.report(problem)
        times, module, node = values.get("times"), values.get("module"), given.get("module")
        if not isinstance(times, int) or not isinstance(module, Tree) or node is None:
            return None
        return Repeat(times, module, self._scope(node), key.place)

    def _repeat_value(self, node: Node, argument: Argument, given: Mapping) -> Value:
        if argument.name == "times":
            if not isinstance(node, Scalar) or type(node.value) is not int or node.value < 0:
                message = f"'times' of Repeat must be an int of 0 or more, got {describe(node)}"
                raise ParamtoolError(message, node.place)
            return node.value
        if is_alias(node, given):
            hint = "list the alias as often as needed, or define a name"
            message = "Repeat makes independent copies, and an alias is one module"
            key = next(key for key, value in given.entries if value is node)
            raise ParamtoolError(message, key.place, hint)
        return self._recipe(node)

    def _residual(self, key: Scalar, given: Node | None) -> ResidualNode | None:
        if given is None or is_nothing(given):
            raise ParamtoolError("Residual lacks its module", key.place, "e.g. {Residual: {Linear: [4, 4]}}")
        module = self.module(given)
        return None if module is None else ResidualNode(module, key.place)

    # recipes

    def _scope(self, root: Node) -> Scope:
        return self._scopes.setdefault(id(root), Scope())

    def _recipe(self, root: Node) -> Tree | None:
        self._inside.append(self._scope(root))
        try:
            return self.module(root)
        finally:
            self._inside.pop()

    def _use(self, key: Scalar, given: Node | None) -> DefineUse:
        name = key.raw
        if given is not None and not is_nothing(given):
            raise ParamtoolError(f"'{shorten(name)}' is a define and takes no arguments", given.place)
        if name in self._reading:
            chain = " → ".join([*self._reading, name])
            raise ParamtoolError(f"the define '{shorten(name)}' uses itself ({shorten(chain)})", key.place)
        self._read_define(name)
        return DefineUse(self._defines[name][0], key.place)

    def _read_define(self, name: str) -> None:
        if name in self._read:
            return
        self._read.add(name)
        define, node = self._defines[name]
        if is_alias(node, self._defines_node) or self._first_names[id(node)] != name:
            message = f"the define '{shorten(name)}' is a recipe, and an alias is one module"
            self.report(ParamtoolError(message, define.place))
            return
        around, self._inside = self._inside, []
        self._reading.append(name)
        define.node = self._recipe(node)
        self._reading.pop()
        self._inside = around
