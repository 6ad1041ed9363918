"""Modules in a pickle: their parameters and buffers stand in their attributes, with what each one is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from paramtool.errors import ParamtoolError
from paramtool.files.reading.pickled_tree import Tree, attributes
from paramtool.files.reading.pickled_values import Object, PickledTensor

SCRIPT = "__torch__."
"""How the class names of TorchScript begin."""

_DEEPEST = 200
_LONGEST_NAME = 1 << 12
_COST = 8
"""Entries that a module counts as."""


@dataclass(frozen=True)
class Declared:
    """What a class of TorchScript says about its attributes."""

    parameters: frozenset[str]
    buffers: frozenset[str]


@dataclass(frozen=True)
class Leaf:
    """One tensor and what it is: `kind`, `persistent` and `type` as a `Stored` has them."""

    tensor: PickledTensor
    kind: str = "stored"
    persistent: bool | None = None
    type: str | None = None


@dataclass
class Found:
    """What a module has.

    Attributes:
        leaves: names and tensors, in the order of ``state_dict()``; persistent buffers and others.
        modules: class names by the paths of modules.
        rest: attributes by their paths: all of the first module, and those of others that hold tensors.
    """

    leaves: list[tuple[str, Leaf]] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    rest: list[tuple[str, Any]] = field(default_factory=list)


_HOOKS = ("_hooks", "_hooks_with_kwargs", "_hooks_always_called", "_with_kwargs")
_INTERNAL = frozenset(
    ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_backend", "training",
     "_is_full_backward_hook", "_compiled_call_impl")
)  # fmt: skip


class Modules:
    """Tells modules from other objects, and lists what they have.

    Args:
        tree: walks and counts.
        declared: what the classes of TorchScript say, by their full names.
    """

    def __init__(self, tree: Tree, declared: Mapping[str, Declared] | None = None) -> None:
        self._tree = tree
        self._declared = declared or {}

    def is_module(self, value: Any) -> bool:
        """Tell whether `value` is a module of torch.nn or of TorchScript."""
        if not isinstance(value, Object):
            return False
        state = attributes(value)
        if not isinstance(state, dict):
            return False
        is_eager = all(isinstance(state.get(key), dict) for key in ("_parameters", "_modules"))
        return is_eager or self._is_script(value)

    def _is_script(self, value: Any) -> bool:
        return isinstance(value, Object) and value.words in self._declared and isinstance(value.state, dict)

    def find(self, root: Object, prefix: str = "") -> Found:
        """Return what the module `root` has, by names that begin with `prefix`.

        Raises:
            ParamtoolError: if modules are nested too deep.
        """
        found = Found()
        waiting: list[tuple[str, Object, tuple[int, ...]]] = [(prefix, root, ())]
        while waiting:
            path, module, above = waiting.pop()
            if len(above) > _DEEPEST or len(path) > _LONGEST_NAME:
                raise ParamtoolError(f"its modules are nested deeper than {_DEEPEST}")
            found.modules[path] = module.words.rpartition(".")[2]
            inner = []
            for name, value, kind, persistent in self._members(module):
                full = f"{path}.{name}" if path else name
                tensor = self._tree.tensor(value)
                if kind == "module":
                    if id(value) not in above and value is not module:
                        inner.append((full, value, (*above, id(module))))
                elif kind != "rest" and tensor is not None:
                    found.leaves.append((full, Leaf(tensor, kind, persistent, found.modules[path])))
                elif kind == "rest" and (module is root or self._tree.holds(value)):
                    found.rest.append((full, value))
            waiting.extend(reversed(inner))
        return found

    def _members(self, module: Object) -> Iterator[tuple[str, Any, str, bool | None]]:
        """Yield name, value, kind and persistence of what one module has."""
        self._tree.spend(_COST)
        yield from self._script(module) if self._is_script(module) else self._eager(module)

    def _eager(self, module: Object) -> Iterator[tuple[str, Any, str, bool | None]]:
        state = attributes(module)
        children = self._tree.children
        hidden = state.get("_non_persistent_buffers_set")
        names = {each for each in hidden if isinstance(each, str)} if isinstance(hidden, list) else set()
        for name, value in children(state["_parameters"]):
            yield name, value, "parameter", None
        for name, value in children(state.get("_buffers")):
            yield name, value, "buffer", name not in names
        for name, value in children(state["_modules"]):
            if self.is_module(value):
                yield name, value, "module", None
            elif value is not None:
                yield name, value, "rest", None
        for name, value in children(state):
            if name not in _INTERNAL and not (name.startswith("_") and name.endswith(_HOOKS)):
                yield name, value, "rest", None

    def _script(self, module: Object) -> Iterator[tuple[str, Any, str, bool | None]]:
        declared = self._declared[module.words]
        members = list(self._tree.children(module.state))
        for name, value in members:
            if name in declared.parameters:
                yield name, value, "parameter", None
        for name, value in members:
            if name in declared.buffers:
                yield name, value, "buffer", True
        for name, value in members:
            if self.is_module(value):
                yield name, value, "module", None
            elif name not in declared.parameters | declared.buffers and name not in (
                "training",
                "_is_full_backward_hook",
            ):
                yield name, value, "rest", None
