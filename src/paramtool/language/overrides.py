"""Override values of a spec by their dotted path, as ``--set model.Sequential.0.Linear.bias=false``."""

from __future__ import annotations

from dataclasses import dataclass

from paramtool.audience import worded
from paramtool.errors import ParamtoolError, shorten
from paramtool.language.dtype_words import torch_word
from paramtool.language.limits import MAX_DEPTH
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe
from paramtool.language.option_values import read_value
from paramtool.place import Place, Text
from paramtool.suggestion import did_you_mean


@dataclass(frozen=True)
class Override:
    """One ``KEY=VALUE``: a dotted path of keys and list indexes, and a value in YAML."""

    path: str
    value: Node
    place: Place

    @classmethod
    def parse(cls, given: str, side: str = "") -> Override:
        """Return the override that `given`, as typed after ``--set`` or ``--set-a``, writes.

        Raises:
            ParamtoolError: if it is not KEY=VALUE, or VALUE is not YAML.
        """
        text = Text(f"{worded(f'--set{side}', 'set')} {shorten(given)}", given, is_option=True)
        place = Place(text, 1, 1)
        path, equals, value = given.partition("=")
        if not equals or not path or not all(path.split(".")):
            raise ParamtoolError("expected KEY=VALUE", place, "e.g. seed=1 or model.Linear.bias=false")
        if path.rpartition(".")[2] == "dtype":
            value = torch_word(value)
        return cls(path, read_value(value, place), place)

    def apply(self, root: Node) -> Node:
        """Return `root` with the value set in it; the nodes are changed in place.

        Raises:
            ParamtoolError: if the path leads nowhere.
        """
        if not isinstance(root, Mapping):
            raise ParamtoolError(f"the spec is {describe(root)}, not a mapping", self.place)
        parts = self.path.split(".")
        if len(parts) > MAX_DEPTH:
            raise ParamtoolError(f"a path with more than {MAX_DEPTH} steps", self.place)
        holder: Node = root
        done: list[str] = []
        while True:
            key, rest = self._step(holder, parts, done)
            if not rest:
                self._put(holder, key, self.value)
                return root
            holder = self._open(holder, key, rest, done)
            done.append(key)
            parts = rest

    def _step(self, holder: Node, parts: list[str], done: list[str]) -> tuple[str, list[str]]:
        """Split off the next key; keys that hold dots themselves (in `tie`) are matched longest first."""
        if isinstance(holder, Mapping):
            for length in range(len(parts), 1, -1):
                key = ".".join(parts[:length])
                if holder.get(key) is not None:
                    return key, parts[length:]
            if done[-1:] == ["tie"]:
                return ".".join(parts), []
        if isinstance(holder, Sequence):
            self._check_index(holder, parts[0], done)
        return parts[0], parts[1:]

    def _check_index(self, holder: Sequence, key: str, done: list[str]) -> None:
        count = len(holder.items)
        if not key.isdecimal() or len(key) > 9 or int(key) >= count:
            where = ".".join(done) or "the spec"
            hint = f"use an index from 0 to {count - 1}" if count else None
            raise ParamtoolError(
                f"'{where}' is a list of {count}, without '{shorten(key)}'", self.place, hint
            )

    def _open(self, holder: Node, key: str, rest: list[str], done: list[str]) -> Node:
        """Return the node under `key` to go on in; a bare name such as ``ReLU`` becomes a mapping."""
        inner = holder.items[int(key)] if isinstance(holder, Sequence) else None
        if isinstance(holder, Mapping):
            inner = holder.get(key)
            if inner is None and done:
                names = [name.raw for name, _ in holder.entries]
                raise ParamtoolError(
                    f"'{'.'.join(done)}' has no '{shorten(key)}'", self.place, did_you_mean(key, names)
                )
        if isinstance(inner, (Mapping, Sequence)):
            return inner
        opened = Mapping(self.place.text, 1, 1)
        if isinstance(inner, Scalar) and inner.raw == rest[0] and len(rest) > 1:
            opened = Mapping(inner.text, inner.line, inner.column, anchor=inner.anchor)
            empty = Scalar(inner.text, inner.line, inner.column, "", None, parent=opened)
            opened.entries.append((inner, empty))
        elif inner is not None and not (isinstance(inner, Scalar) and inner.value is None):
            raise ParamtoolError(
                f"'{'.'.join([*done, key])}' is {describe(inner)} and has nothing inside it", self.place
            )
        self._put(holder, key, opened)
        return opened

    def _put(self, holder: Node, key: str, value: Node) -> None:
        value.parent = holder
        if isinstance(holder, Sequence):
            holder.items[int(key)] = value
        elif isinstance(holder, Mapping):
            index = next((i for i, (name, _) in enumerate(holder.entries) if name.raw == key), None)
            name = Scalar(self.place.text, 1, 1, key, key, parent=holder)
            if index is None:
                holder.entries.append((name, value))
            else:
                holder.entries[index] = (holder.entries[index][0], value)
