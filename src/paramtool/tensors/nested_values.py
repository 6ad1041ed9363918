"""The tensors in whatever a function takes or returns: lists, tuples, mappings and dataclasses of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def tensors(value: Any) -> list[Tensor]:
    """Return every tensor in `value`, in its order; repeated ones are returned each time."""
    found: list[Tensor] = []
    _collect(value, found)
    return found


def placed_tensors(value: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in `value` with its place, such as ``output['logits'][0]`` below ``output``."""
    if isinstance(value, Tensor):
        yield place, value
    else:
        for key, member in _members(value):
            yield from placed_tensors(member, place + key)


def replaced(value: Any, replace: Callable[[Tensor], Tensor]) -> Any:
    """Return `value` with `replace(tensor)` for each tensor in its lists, tuples and dictionaries.

    Those of dataclasses and of other mappings stay: nothing says how to make another one of these.  For
    the same reason a list or tuple of a class of its own becomes a plain one, if a tensor is in it.
    """
    if isinstance(value, Tensor):
        return replace(value)
    if isinstance(value, dict):
        return {key: replaced(each, replace) for key, each in value.items()}
    if not isinstance(value, (list, tuple)) or not tensors(value):
        return value
    members = [replaced(each, replace) for each in value]
    if isinstance(value, list):
        return members
    return value._make(members) if hasattr(value, "_make") else tuple(members)


def _collect(value: Any, found: list[Tensor]) -> None:
    """Add the tensors to `found`: this runs for every operation of a pass, and builds no places."""
    if isinstance(value, Tensor):
        found.append(value)
    elif isinstance(value, (tuple, list)):
        for each in value:
            _collect(each, found)
    elif isinstance(value, Mapping):
        for each in value.values():
            _collect(each, found)
    elif _is_record(value):
        for _, each in _members(value):
            _collect(each, found)


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what `value` holds, each with how Python writes the way to it."""
    if isinstance(value, Mapping):
        yield from ((f"[{key!r}]", each) for key, each in value.items())
    elif _is_record(value):
        yield from ((f".{each.name}", getattr(value, each.name, None)) for each in fields(value))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):  # a named one
        yield from ((f".{name}", each) for name, each in zip(value._fields, value, strict=True))
    elif isinstance(value, (tuple, list)):
        yield from ((f"[{index}]", each) for index, each in enumerate(value))


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)
