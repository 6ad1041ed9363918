"""What stands for the results of the calls in the pickle of a state_dict: records, and nothing that acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from paramtool.files.reading.pickled_globals import CONTAINERS, DTYPES, OPAQUE, STORAGES, UNREADABLE

_SMALL = 1 << 32


@dataclass(frozen=True)
class Storage:
    """The memory of a tensor: a member of the archive, and how many elements (or bytes) it has."""

    dtype: str | None
    key: str
    numel: int


@dataclass(frozen=True)
class PickledTensor:
    """One tensor as it was pickled; `unreadable` says why its elements cannot be had."""

    storage: Any = None
    offset: Any = 0
    shape: Any = ()
    strides: Any = ()
    dtype: str | None = None
    requires_grad: bool | None = None
    unreadable: str | None = None


@dataclass(frozen=True)
class Name:
    """What stands for a class or function: the words it goes by."""

    words: str


class Opaque:
    """What stands for everything that is no tensor and no container of any."""


OTHER = Opaque()


class Broken(Exception):
    """Raised where the pickle is none."""


def dict_key(value: Any) -> Any:
    """Return a key that hashes well: tuples in tuples take for ever, and chosen integers collide."""
    is_small = isinstance(value, int) and -_SMALL <= value < _SMALL
    return value if isinstance(value, (str, bytes)) or is_small else Opaque()


def called(words: str, arguments: tuple[Any, ...]) -> Any:
    """Return what stands for the result of a call."""
    if words in _CALLS:
        return _CALLS[words](arguments)
    if words in CONTAINERS:
        return _pairs(arguments)
    if words in UNREADABLE:
        return PickledTensor(unreadable=UNREADABLE[words])
    return OTHER


def _pairs(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return an OrderedDict, which Python 2 pickled with its items as a list of pairs."""
    items = arguments[0] if arguments else ()
    if isinstance(items, dict):
        return dict(items)
    if not (isinstance(items, (list, tuple)) and all(_is_pair(item) for item in items)):
        raise Broken
    return {dict_key(key): value for key, value in items}


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == 2


def _tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_tensor_v2``, whose last argument tells of conjugate and negative views."""
    storage, offset, shape, strides, *rest = arguments
    views = rest[2] if len(rest) > 2 else None
    if isinstance(views, dict) and (len(views) > 2 or any(views.values())):
        return PickledTensor(unreadable="a conjugated or negated view")
    if not isinstance(storage, Storage):
        raise Broken
    unreadable = None if storage.dtype else "without a dtype"
    return PickledTensor(storage, offset, shape, strides, storage.dtype, unreadable=unreadable)


def _tensor_v3(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_tensor_v3``, whose storage has bytes."""
    storage, offset, shape, strides, _, _, dtype, *_ = arguments
    if not isinstance(storage, Storage) or not isinstance(dtype, Name):
        raise Broken
    name = dtype.words.removeprefix("torch.")
    unreadable = None if name in DTYPES else f"of the dtype {name}"
    return PickledTensor(storage, offset, shape, strides, name, unreadable=unreadable)


def _parameter(arguments: tuple[Any, ...]) -> PickledTensor:
    data, *rest = arguments
    if not isinstance(data, PickledTensor):
        raise Broken
    return replace(data, requires_grad=bool(rest[0]) if rest else True)


def _of_type(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``_rebuild_from_type_v2``: a subclass, or a tensor with attributes."""
    function, _, inner, *_ = arguments
    if not isinstance(function, Name) or not isinstance(inner, tuple):
        raise Broken
    return called(function.words, inner)


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    (sizes,) = arguments or ((),)
    if not isinstance(sizes, tuple):
        raise Broken
    return sizes


_CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.Size": _size,
}
KNOWN = frozenset(
    (*_CALLS, *CONTAINERS, *UNREADABLE, *STORAGES, *OPAQUE, *(f"torch.{each}" for each in DTYPES))
)
