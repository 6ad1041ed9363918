"""Find the state_dict in what was pickled: it may lie beside an epoch, an optimizer and another one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.pickled_modules import Found, Leaf, Modules
from paramtool.files.reading.pickled_tree import Tree, attributes, is_container
from paramtool.files.reading.pickled_values import KnownDict, Object
from paramtool.suggestion import did_you_mean

USUAL_KEYS = (
    "state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights",
    "params", "params_ema", "ema", "model_ema", "ema_state_dict", "state_dict_ema",
)  # fmt: skip
"""Where training scripts put the one model that they train; the first of these wins."""

_ASIDE = re.compile(r"optim|^opt([_\d]|$)|sched|scaler$|^amp$|amp_scal|rng|random_state")
_ASIDE_TENSOR = re.compile(r"(^|_)rng(_states?)?$|random_state$")
"""Keys of what is beside a model: moments of an optimizer, states of generators."""

_DEEPEST = 64
_LONGEST_NAME = 1 << 12


@dataclass
class Chosen:
    """The tensors that are listed, and what is beside them.

    Attributes:
        path: the keys that lead to what is listed.
        leaves: the tensors by their names, in order.
        modules: class names by the paths of modules.
        rest: what else there is, by its dotted path.
        attributes: paths in `rest` of the plain attributes of modules.
        others: paths of other state_dicts that might have been meant.
        versions: of modules by their paths, as ``_metadata`` has them.
        is_optimizer: whether there is the state of an optimizer, and no model.
        same_names: names that several tensors have by their keys, each with what stands for a later one.
        objects: keys beside the tensors whose values are not tensors, nor dicts of a model in parts.
    """

    path: tuple[str, ...] = ()
    leaves: dict[str, Leaf] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    rest: list[tuple[str, Any]] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    objects: list[str] = field(default_factory=list)
    is_optimizer: bool = False
    same_names: list[tuple[str, str]] = field(default_factory=list)


class StateDicts:
    """Finds state_dicts.

    Args:
        tree: walks and counts.
        modules: tells what is a module.
        most: names that a state_dict may have.
    """

    def __init__(self, tree: Tree, modules: Modules, most: int) -> None:
        self._tree = tree
        self._modules = modules
        self._most = most

    def choose(self, root: Any) -> Chosen:
        """Return the state_dict that training scripts would mean, and what is beside it.

        Raises:
            ParamtoolError: if it holds nothing, or too much.
        """
        if not is_container(root) and self._tree.tensor(root) is None:
            raise ParamtoolError("it holds no tensors", hint="save a state_dict: a dict of names and tensors")
        found = Chosen()
        node, seen = root, {id(root)}
        while True:
            step = None if self._modules.is_module(node) else self._step(node)
            if step is None or id(step[1]) in seen:
                break
            key, inner, others = step
            path = ".".join(found.path)
            found.others.extend(_join(path, each) for each in others)
            found.rest.extend(
                (_join(path, name), value) for name, value in self._tree.children(node) if value is not inner
            )
            found.path = (*found.path, key)
            node = inner
            seen.add(id(inner))
        self._list(node, found, keep_aside=False)
        return found

    def under(self, root: Any, key: str) -> Chosen:
        """Return what is at the dotted path `key`, whatever it is.

        Raises:
            ParamtoolError: if nothing is.
        """
        value = self._at(root, key)
        if value is _NOTHING:
            inside = [name for name, each in self._tree.children(root) if is_container(each)]
            hint = did_you_mean(key, inside) or f"it has {listed(inside)}"
            raise ParamtoolError(f"it has no '{shorten(key)}'", hint=hint)
        found = Chosen(tuple(key.split(".")))
        if self._tree.tensor(value) is not None or not is_container(value):
            value = {key.rpartition(".")[2] or key: value}
            found.path = found.path[:-1]
        self._list(value, found, keep_aside=True)
        return found

    def _step(self, node: Any) -> tuple[str, Any, list[str]] | None:
        """Return the key and value inside `node` that hold its state_dict; None if it is that itself."""
        if self._tree.tensor(node) is not None or _is_optimizer(node):
            return None
        holders = {key: value for key, value in self._tree.children(node) if self._tree.holds(value)}
        holders = {key: value for key, value in holders.items() if not self._is_aside(key, value)}
        inside = {key: value for key, value in holders.items() if self._tree.tensor(value) is None}
        usual = [key for key in USUAL_KEYS if key in inside]
        if usual:
            others = [key for key, value in inside.items() if key != usual[0] and self._is_other(key, value)]
            return usual[0], inside[usual[0]], others
        if len(holders) == 1 and inside:
            ((key, value),) = inside.items()
            return key, value, []
        return None

    def _is_other(self, key: str, value: Any) -> bool:
        """Tell whether `value` might be meant as well: a module, or a dict of tensors."""
        if key in USUAL_KEYS or self._modules.is_module(value):
            return True
        found = (each for _, each in self._tree.children(value) if self._tree.tensor(each) is not None)
        return isinstance(value, dict) and len(list(islice(found, 2))) == 2

    def _is_aside(self, key: str, value: Any) -> bool:
        """Tell whether `value` is no part of a model: an optimizer, by its key, its class or its parts."""
        if _is_optimizer(value):
            return True
        pattern = _ASIDE if self._tree.tensor(value) is None else _ASIDE_TENSOR
        return bool(pattern.search(key.lower())) and not self._modules.is_module(value)

    def _list(self, node: Any, found: Chosen, keep_aside: bool) -> None:
        """Add the tensors in `node` to `found`, and what of it has none to the rest."""
        path = ".".join(found.path)
        tensor = self._tree.tensor(node)
        if tensor is not None:
            found.leaves["tensor"] = Leaf(tensor)
            return
        if self._modules.is_module(node):
            self._add(self._modules.find(node), found, path)
            return
        found.versions = self._versions(node)
        found.is_optimizer = _is_optimizer(node)
        children = list(self._tree.children(node))
        holders = {key: value for key, value in children if self._tree.holds(value)}
        aside = {key for key, value in holders.items() if not keep_aside and self._is_aside(key, value)}
        if len(aside) == len(holders):  # the state of an optimizer, and nothing else
            aside = set()
            found.is_optimizer = any(map(_is_optimizer, holders.values()))
        for key, value in children:
            if key in aside or key not in holders:
                found.rest.append((_join(path, key), value))
                found.objects.append(key)
            elif key.rpartition(".")[2] == "_extra_state" and self._tree.tensor(value) is None:
                found.objects.append(key)
        for name, leaf in self._leaves(node, aside, found):
            self._put(name, leaf, found)

    def _versions(self, node: Any) -> dict[str, int]:
        """Return what a state_dict says of the versions of its modules."""
        state = attributes(node) if isinstance(node, (Object, KnownDict)) else None
        metadata = state.get("_metadata") if isinstance(state, dict) else None
        said = ((path, each) for path, each in self._tree.children(metadata) if isinstance(each, dict))
        versions = ((path, each.get("version")) for path, each in said)
        return {path: each for path, each in versions if type(each) is int and each.bit_length() < 64}

    def _leaves(self, root: Any, aside: set[str], found: Chosen) -> Iterator[tuple[str, Leaf]]:
        """Yield the tensors in dicts, lists and objects in each other, each of them in order."""
        active = [id(root)]
        stack = [("", self._tree.children(root))]
        while stack:
            prefix, children = stack[-1]
            step = next(children, None)
            if step is None:
                stack.pop()
                active.pop()
                continue
            key, value = step
            if len(stack) == 1 and key in aside:
                continue
            name = _join(prefix, key) if len(stack) > 1 else key
            tensor = self._tree.tensor(value)
            if tensor is not None:
                yield name, Leaf(tensor)
            elif is_container(value) and id(value) not in active and self._tree.holds(value):
                if len(stack) > _DEEPEST or len(name) > _LONGEST_NAME:
                    raise ParamtoolError(f"its tensors are nested deeper than {_DEEPEST}")
                if self._modules.is_module(value):
                    self._add(self._modules.find(value, name), found, ".".join(found.path))
                else:
                    active.append(id(value))
                    stack.append((name, self._tree.children(value)))

    def _add(self, module: Found, found: Chosen, path: str) -> None:
        for name, leaf in module.leaves:
            self._put(name, leaf, found)
        found.modules.update(module.modules)
        rest = [(_join(path, name), value) for name, value in module.rest]
        found.rest.extend(rest)
        found.attributes.update(name for name, _ in rest)

    def _put(self, name: str, leaf: Leaf, found: Chosen) -> None:
        if name in found.leaves:  # ``a.b`` beside ``b`` in the dict ``a``
            first, number = name, 2
            while name in found.leaves:
                self._tree.spend(1)
                name, number = f"{first} ({number})", number + 1
            found.same_names.append((first, name))
        if len(found.leaves) >= self._most:
            raise ParamtoolError(f"it has more than {self._most:,} tensors")
        self._tree.spend(len(name) >> 8)
        found.leaves[name] = leaf

    def _at(self, root: Any, key: str) -> Any:
        """Return what is at a dotted path; keys may have dots themselves."""
        value, rest = root, key
        for _ in range(_DEEPEST):
            inside = self._inside(value)
            if rest in inside:
                return inside[rest]
            parts = rest.split(".")
            heads = (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))
            head = next((each for each in heads if each in inside), None)
            if head is None:
                return _NOTHING
            value, rest = inside[head], rest[len(head) + 1 :]
        return _NOTHING

    def _inside(self, value: Any) -> dict[str, Any]:
        """Return what a path may go on with."""
        inside = dict(self._tree.children(value))
        if self._modules.is_module(value):
            inside.update(
                pair for key in ("_buffers", "_parameters", "_modules")
                for pair in self._tree.children(inside.get(key))
            )  # fmt: skip
        return inside


_NOTHING = object()


def _is_optimizer(value: Any) -> bool:
    """Tell whether `value` is an optimizer, or the state of one."""
    if isinstance(value, Object):
        return bool(re.match(r"torch\.(optim|Generator|cuda\.amp|amp)\b", value.words))
    return isinstance(value, dict) and "param_groups" in value and "state" in value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def listed(paths: Iterable[str]) -> str:
    """Return the first of `paths` for a message."""
    words = [shorten(path) for path in paths]
    more = f" and {len(words) - 5:,} more" if len(words) > 5 else ""
    return f"{', '.join(words[:5]) or 'nothing in it'}{more}"
