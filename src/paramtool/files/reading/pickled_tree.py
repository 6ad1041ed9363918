"""Walks over what a pickle holds: dicts, lists and objects in each other, which may hold themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.pickled_arrays import array, is_array
from paramtool.files.reading.pickled_globals import PARAMETERS
from paramtool.files.reading.pickled_values import KnownDict, Name, Object, OtherKey, PickledTensor

MOST_ENTRIES = 1_000_000
"""Entries that are looked at in a small file.  A small pickle may say that one dict is in many others."""

_LONGEST_KEY = 1 << 10
_INNER = (dict, list, tuple, Object, PickledTensor)


class Tree:
    """Finds tensors in what a pickle holds.

    Args:
        most: entries that may be looked at, all walks together.
        arrays: take NumPy's arrays for tensors too.
    """

    def __init__(self, most: int = MOST_ENTRIES, arrays: bool = False) -> None:
        self._most = self._left = most
        self._arrays = arrays
        self._empty: set[int] = set()
        self._found: dict[int, PickledTensor | None] = {}

    def tensor(self, value: Any) -> PickledTensor | None:
        """Return the tensor that `value` is, or None."""
        if isinstance(value, PickledTensor):
            return value
        if not isinstance(value, Object):
            return None
        if id(value) not in self._found:  # an array is the same tensor wherever it comes
            self._found[id(value)] = _old_parameter(value) or (array(value) if self._arrays else None)
        return self._found[id(value)]

    def children(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield what `value` holds with its keys, in order; nothing for a tensor or a scalar."""
        for key, inner in _children(value):
            self.spend(1)
            yield key, inner

    def spend(self, count: int) -> None:
        """Count entries that were looked at.

        Raises:
            ParamtoolError: after too many.
        """
        self._left -= count
        if self._left < 0:
            raise ParamtoolError(f"it has more than {self._most:,} entries")

    def holds(self, value: Any) -> bool:
        """Tell whether `value` is a tensor or holds one, at any depth."""
        if self.tensor(value) is not None:
            return True
        if not is_container(value) or id(value) in self._empty:
            return False
        seen = {id(value)}
        waiting = [value]
        while waiting:
            for inner in self._inside(waiting.pop()):
                if self.tensor(inner) is not None:
                    return True
                if id(inner) not in seen and id(inner) not in self._empty:
                    seen.add(id(inner))
                    waiting.append(inner)
        self._empty |= seen
        return False

    def all_tensors(self, value: Any) -> list[PickledTensor]:
        """Return each tensor in `value` once, at any depth."""
        found: dict[int, PickledTensor] = {}
        seen: set[int] = set()
        waiting = [value]
        while waiting:
            each = waiting.pop()
            tensor = self.tensor(each)
            if tensor is not None:
                found[id(tensor)] = tensor
            elif is_container(each) and id(each) not in seen and id(each) not in self._empty:
                seen.add(id(each))
                waiting.extend(self._inside(each))
        if not found:
            self._empty |= seen
        return list(found.values())

    def _inside(self, value: Any) -> list[Any]:
        """Return the tensors and containers that are right in `value`."""
        if isinstance(value, Object):
            state = attributes(value)
            groups = (state, value.entries, value.items, value.arguments)
            found = [each for group in groups if _is_plain(group) for each in self._inside(group)]
            return [*found, state] if isinstance(state, (Object, PickledTensor)) else found
        values = value.values() if isinstance(value, dict) else value
        self.spend(len(values))
        return [each for each in values if isinstance(each, _INNER)]


def is_container(value: Any) -> bool:
    """Tell whether other values may be in `value`."""
    return isinstance(value, (dict, list, tuple, Object))


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        seen: set[str] = set()
        for key, inner in value.items():
            yield _once(key_text(key), seen), inner
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield str(number), inner
    elif isinstance(value, Object):
        state = attributes(value)
        if isinstance(state, (Object, PickledTensor)):
            yield "state", state
        for group in (state, value.entries, value.items, value.arguments):
            if _is_plain(group):
                yield from _children(group)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple))


def _once(text: str, seen: set[str]) -> str:
    """Return `text`, or with a number behind it where another key reads the same."""
    found, number = text, 1
    while found in seen:
        number += 1
        found = f"{text} ({number})"
    seen.add(found)
    return found


def attributes(value: Any) -> Any:
    """Return the attributes of an object: usually a dict, with those of ``__slots__`` in it."""
    state = value.state
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        first = state[0] if isinstance(state[0], dict) else {}
        return {**first, **state[1]} if len(first) + len(state[1]) < _LONGEST_KEY else state
    return state


def key_text(key: Any) -> str:
    """Return a key as it is in a name."""
    if isinstance(key, OtherKey):
        return _plain(key.value)
    if isinstance(key, bytes):  # of Python 2
        return key[:_LONGEST_KEY].decode("ascii", "backslashreplace")
    text = str(key)
    return text if len(text) <= _LONGEST_KEY else f"{text[:_LONGEST_KEY]}…"


def _plain(value: Any) -> str:
    """Return a key that is no text: a tuple by its parts, an enum by its value."""
    if isinstance(value, tuple):
        return f"({', '.join(_plain(each) if not is_container(each) else '…' for each in value[:8])})"
    if isinstance(value, Object):
        name = value.words.rpartition(".")[2]
        first = value.arguments[0] if value.arguments else None
        return f"{name}({first})" if isinstance(first, (str, int)) and _is_short(first) else name
    if isinstance(value, Name):
        return value.words
    is_text = value is None or isinstance(value, (str, float)) or _is_short(value)
    return shorten(str(value)) if is_text else "key"


def _is_short(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and value.bit_length() <= 128)


def _old_parameter(value: Object) -> PickledTensor | None:
    """Return the tensor in a Parameter of torch before 0.2, whose state it is the first part of."""
    state = value.state
    if value.words not in PARAMETERS or not isinstance(state, tuple) or len(state) < 3:
        return None
    return state[0] if isinstance(state[0], PickledTensor) else None


def type_text(value: Any) -> str:
    """Return the class of what `value` stands for."""
    if isinstance(value, Object) and is_array(value):
        return "numpy.ndarray"
    if isinstance(value, (Object, KnownDict)):
        return shorten(value.words.removeprefix("builtins."), 80)
    if isinstance(value, PickledTensor):
        return "torch.Tensor"
    if isinstance(value, Name):
        known = value.words.startswith("torch.") and value.words.count(".") == 1
        return "torch.dtype" if known else "type"
    names = {"Members": "set", "Bytes": "bytes", "NoneType": "None", "Storage": "torch.Storage"}
    name = type(value).__name__
    return names.get(name, name)
