"""What stands for the results of the calls in a pickle: records, and nothing that acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from paramtool.files.reading.pickled_arrays import array
from paramtool.files.reading.pickled_globals import DICTS, PARAMETERS, SETS, UNINITIALIZED
from paramtool.files.reading.pickled_tensors import REBUILD, as_parameter
from paramtool.files.reading.pickled_values import (
    Broken,
    Bytes,
    KnownDict,
    Members,
    Name,
    Object,
    PickledTensor,
    dict_key,
)


def called(words: str, arguments: tuple[Any, ...]) -> Any:
    """Return what stands for the result of a call.

    Raises:
        Broken: if a function of torch's own is called with what it never takes.
    """
    if words in REBUILD:
        return REBUILD[words](arguments)
    if words in _CALLS:
        return _CALLS[words](arguments)
    return made(words, arguments)


def made(words: str, arguments: tuple[Any, ...]) -> Any:
    """Return what stands for a new object of a class."""
    if words in DICTS:
        return _dict(words, arguments)
    if words in SETS:
        return Members(arguments[0]) if arguments and isinstance(arguments[0], (list, tuple)) else Members()
    if words in PARAMETERS and arguments and isinstance(arguments[0], PickledTensor):
        return as_parameter(arguments)
    if words in UNINITIALIZED:
        return PickledTensor(
            shape=(0,), dtype="float32", missing="uninitialized: its shape is not known yet",
            requires_grad=bool(arguments[0]) if arguments else None,
        )  # fmt: skip
    return Object(words, arguments)


def _dict(words: str, arguments: tuple[Any, ...]) -> KnownDict:
    """Return a dict of a known class, which Python 2 pickled with its items as a list of pairs."""
    items = arguments[0] if arguments else ()
    found = KnownDict()
    if words != "collections.OrderedDict":
        found.words = words.removeprefix("builtins.")
    if words == "collections.defaultdict" or items is None:
        return found
    if isinstance(items, dict):
        found.update(items)
        return found
    if not (isinstance(items, (list, tuple)) and all(_is_pair(item) for item in items)):
        raise Broken
    found.update((dict_key(key), value) for key, value in items)
    return found


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) == 2


def _size(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    (sizes,) = arguments or ((),)
    if not isinstance(sizes, (tuple, list)):
        raise Broken
    return tuple(sizes)


def _first(arguments: tuple[Any, ...]) -> Any:
    """Stand for a function that returns what it is given."""
    if not arguments:
        raise Broken
    return arguments[0]


def _reconstructed(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``copyreg._reconstructor``: protocols 0 and 1, and objects of Python 2."""
    kind, base, state = arguments
    if not isinstance(kind, Name):
        raise Broken
    found = made(kind.words, ())
    if isinstance(found, Object) and isinstance(base, Name) and base.words != "builtins.object":
        found.arguments = (state,)
        found.entries = dict(state) if isinstance(state, dict) else None
    return found


def _new(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``copyreg.__newobj__``."""
    kind, *rest = arguments
    if not isinstance(kind, (Name, Object)):
        raise Broken
    return made(kind.words, tuple(rest))


def _encoded(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``_codecs.encode``, by which Python 3 writes bytes in protocol 2."""
    text = arguments[0] if arguments else None
    if not isinstance(text, str) or any(ord(each) > 255 for each in text):
        return Object("builtins.bytes", arguments)
    found = Bytes(text.encode("latin-1"))
    found.size = len(found)
    return found


def _list(arguments: tuple[Any, ...]) -> Any:
    items = arguments[0] if arguments else []
    return list(items) if isinstance(items, (list, tuple)) else Object("builtins.list", arguments)


def _tuple(arguments: tuple[Any, ...]) -> Any:
    items = _list(arguments)
    return tuple(items) if isinstance(items, list) else Object("builtins.tuple", arguments)


def _layout(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``torch.serialization._get_layout``."""
    name = arguments[0] if arguments else None
    return Name(name) if isinstance(name, str) else Object("torch.layout", arguments)


def _other_device(arguments: tuple[Any, ...]) -> Any:
    """Stand for what makes a tensor of another device from one in memory, or from an array."""
    data, *rest = arguments
    tensor = data if isinstance(data, PickledTensor) else array(data)
    if tensor is None:
        raise Broken
    return replace(tensor, requires_grad=bool(rest[2]) if len(rest) > 2 else None)


_CALLS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch.Size": _size,
    "_codecs.encode": _encoded,
    "builtins.list": _list,
    "builtins.tuple": _tuple,
    "builtins.bytearray": lambda given: given[0] if len(given) == 1 else Object("builtins.bytearray", given),
    "copyreg._reconstructor": _reconstructed,
    "copyreg.__newobj__": _new,
    "torch.serialization._get_layout": _layout,
    "torch._utils._rebuild_device_tensor_from_numpy": _other_device,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _other_device,
    "torch._utils._rebuild_xla_tensor": _other_device,
    **{
        f"torch.jit._pickle.{name}": _first
        for name in ("restore_type_tag", "build_intlist", "build_tensorlist", "build_doublelist",
                     "build_boollist", "build_tensor_from_id")
    },
}  # fmt: skip
