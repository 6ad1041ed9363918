"""The calls in a pickle that make tensors, of every kind that torch.save writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from paramtool.files.reading.pickled_globals import DTYPES, VALUELESS
from paramtool.files.reading.pickled_values import Broken, Name, Object, PickledTensor, Storage

_SPARSE = ("torch.sparse_coo", "torch.sparse_csr", "torch.sparse_csc", "torch.sparse_bsr", "torch.sparse_bsc")
_DTENSOR = "a part of a distributed tensor; save it with full_state_dict=True"


def _plain(place: tuple[Any, ...], dtype: str | None = None, views: Any = None) -> PickledTensor:
    """Return a tensor at a place: storage, offset, shape and strides."""
    storage, offset, shape, strides = place
    if not isinstance(storage, Storage):
        if not isinstance(storage, Object):
            raise Broken
        return PickledTensor(None, 0, shape, strides, dtype or "unknown", missing="in a text of the pickle")
    name = dtype or storage.dtype or "uint8"
    missing = None if name in DTYPES else "of a dtype that paramtool does not know"
    missing = missing or VALUELESS.get(name)
    if storage.device == "meta":
        missing = "on the meta device"
    if isinstance(views, dict) and any(views.values()):
        missing = "a conjugated or negated view"
    return PickledTensor(storage, offset, shape, strides, name, missing=missing)


def _tensor(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_tensor_v2``, whose last argument says what is conjugated or negated."""
    return _plain(arguments[:4], views=arguments[6] if len(arguments) > 6 else None)


def _tensor_v3(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_tensor_v3``, whose storage has bytes."""
    return _plain(arguments[:4], _dtype(arguments[6]), arguments[7] if len(arguments) > 7 else None)


def _dtype(value: Any) -> str:
    if not isinstance(value, Name):
        raise Broken
    return value.words.removeprefix("torch.")


def _quantized(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_qtensor``; its scale and zero point are kept as a remark."""
    quantizer = arguments[4]
    found = _plain(arguments[:4])
    if not isinstance(quantizer, tuple) or not quantizer:
        raise Broken
    scheme, *numbers = quantizer
    words = scheme.words if isinstance(scheme, Name) else "quantizer"
    if len(numbers) == 2 and all(type(each) in (int, float) for each in numbers):
        remark = f"scale={numbers[0]!r}, zero_point={str(numbers[1])[:20]}"
    else:
        remark = "a scale and a zero point per channel"
    parts = tuple(each for each in numbers if isinstance(each, PickledTensor))
    return replace(found, remark=remark, remark_type=words, missing="quantized", parts=parts)


def _sparse(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_sparse_tensor``: indices, values and a shape."""
    layout, data = arguments
    words = layout.words if isinstance(layout, Name) else str(layout)
    if not isinstance(data, tuple):
        raise Broken
    tensors = tuple(each for each in data if isinstance(each, PickledTensor))
    shapes = [each for each in data if isinstance(each, tuple)]
    if not tensors or not shapes:
        raise Broken
    kind = words.rpartition("_")[2].upper() if words in _SPARSE else "of another layout"
    return PickledTensor(
        None, 0, shapes[0], None, tensors[-1].dtype, missing=f"sparse ({kind})", parts=tensors
    )


def _nested(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_nested_tensor``; what is listed is its buffer."""
    buffer, *_ = arguments
    if not isinstance(buffer, PickledTensor):
        raise Broken
    missing = "nested; the shape is that of its buffer"
    return PickledTensor(None, 0, buffer.shape, None, buffer.dtype, missing=missing, parts=(buffer,))


def _meta(arguments: tuple[Any, ...]) -> PickledTensor:
    dtype, shape, strides, *rest = arguments
    grad = rest[0] if rest and rest[0] is True else None
    return PickledTensor(None, 0, shape, strides, _dtype(dtype), grad, "on the meta device")


def _wrapper(arguments: tuple[Any, ...]) -> PickledTensor:
    """Stand for ``_rebuild_wrapper_subclass``: a class that keeps its elements in other tensors."""
    kind, dtype, shape, strides, *_ = arguments
    words = kind.words if isinstance(kind, Name) else "another class"
    return PickledTensor(None, 0, shape, strides, _dtype(dtype), missing=f"of the class {words}")


def as_parameter(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``_rebuild_parameter``, and for the class itself."""
    data, *rest = arguments
    if isinstance(data, Object):
        return data
    if not isinstance(data, PickledTensor):
        raise Broken
    return replace(data, requires_grad=bool(rest[0]) if rest else True)


def _of_type(arguments: tuple[Any, ...]) -> Any:
    """Stand for ``_rebuild_from_type_v2``: a subclass, or a tensor with attributes."""
    function, kind, inner, *rest = arguments
    if not isinstance(function, Name) or not isinstance(inner, tuple):
        raise Broken
    rebuild = REBUILD.get(function.words)
    if rebuild is None or rebuild is _of_type:
        return Object(function.words, inner)
    found = rebuild(inner)
    state = rest[0] if rest else None
    if isinstance(state, tuple) and len(state) == 2:  # attributes, and those of __slots__
        state = state[1]
    if rebuild is not _wrapper or not isinstance(state, dict):
        return found
    words = kind.words if isinstance(kind, Name) else ""
    return _distributed(found, state, words)


def _distributed(found: PickledTensor, state: dict[Any, Any], words: str) -> PickledTensor:
    """Return a wrapper with what its attributes hold; a DTensor that is whole is its local tensor."""
    inner = tuple(each for each in state.values() if isinstance(each, PickledTensor))
    local = state.get("_local_tensor")
    if words.rpartition(".")[2] != "DTensor" or not isinstance(local, PickledTensor):
        return replace(found, parts=inner)
    if local.shape == found.shape and local.dtype == found.dtype:
        return replace(local, requires_grad=found.requires_grad)
    return replace(found, missing=_DTENSOR, parts=inner)


REBUILD: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": as_parameter,
    "torch._utils._rebuild_parameter_with_state": as_parameter,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_sparse_csr_tensor": _sparse,
    "torch._utils._rebuild_nested_tensor": _nested,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._utils._rebuild_wrapper_subclass": _wrapper,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch._tensor._rebuild_from_type": _of_type,
}
"""torch's functions that a pickle calls for tensors, and what is done instead."""
