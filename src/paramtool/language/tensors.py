"""Read tensors as a spec writes them: ``[20, 20]`` or ``{shape: [20, 20], fill: rand}``."""

from __future__ import annotations

import math

from paramtool.errors import ParamtoolError, shorten
from paramtool.language.dtype_words import suggest_dtype
from paramtool.language.limits import MAX_INTEGER
from paramtool.language.nodes import Mapping, Node, Scalar, Sequence, describe, is_nothing
from paramtool.language.tree import Numbers, TensorNode
from paramtool.suggestion import suggest

FILLS = ("zeros", "ones", "rand", "randn", "arange", "randint")
MAX_RANK = 64  # torch.tensor and most kernels end there

_DEFAULT = {"Parameter": "zeros", "Buffer": "zeros", "Tensor": "zeros", "input": "rand"}
"""The default fill; with an input of zeros, gradients would show nothing."""

_FLOATING = ("float", "bfloat", "complex")

_COMMON = ("shape", "fill", "low", "high", "values", "dtype")
KEYS = {
    "Parameter": (*_COMMON, "requires_grad"),
    "Buffer": (*_COMMON, "persistent"),
    "Tensor": (*_COMMON, "requires_grad"),
    "input": _COMMON,
}


def read_tensor(kind: str, node: Node, dtypes: tuple[str, ...]) -> TensorNode:
    """Return the tensor that `node` writes.

    Args:
        kind: ``Parameter``, ``Buffer``, ``Tensor`` or ``input``.
        node: a shape, or a mapping with the keys of `KEYS`.
        dtypes: the dtype names that torch has.

    Raises:
        ParamtoolError: at the node that is wrong.
    """
    if isinstance(node, Mapping):
        return _from_mapping(kind, node, dtypes)
    if is_nothing(node):
        raise ParamtoolError(f"{kind} lacks a shape", node.place, "e.g. [3, 4]")
    return TensorNode(kind, node.place, shape=_shape(node), fill=_DEFAULT[kind])


def _from_mapping(kind: str, node: Mapping, dtypes: tuple[str, ...]) -> TensorNode:
    for key, _ in node.entries:
        if key.raw not in KEYS[kind]:
            hint = suggest(key.raw, KEYS[kind], f"it takes {', '.join(KEYS[kind])}")
            raise ParamtoolError(f"{kind} has no key '{shorten(key.raw)}'", key.place, hint)
    given = {key.raw: value for key, value in node.entries}
    shape, values = given.get("shape"), given.get("values")
    if values is not None and (shape is not None or "fill" in given):
        raise ParamtoolError("'values' must stand alone", values.place, "leave out shape and fill")
    if values is None and shape is None:
        raise ParamtoolError(f"{kind} lacks a shape", node.place, "e.g. {shape: [3, 4]}")
    dtype = _dtype(given.get("dtype"), dtypes)
    fill = _fill(given["fill"]) if "fill" in given else _default(kind, dtype)
    low, high = _bounds(fill, given, node)
    tensor = TensorNode(
        kind,
        node.place,
        shape=None if shape is None else _shape(shape),
        fill=fill,
        low=low,
        high=high,
        values=None if values is None else _values(values),
        requires_grad=_flag("requires_grad", given, None),
        persistent=_flag("persistent", given, True) is not False,
        dtype=dtype,
    )
    _check_dtype(tensor, given)
    return tensor


def _check_dtype(tensor: TensorNode, given: dict[str, Node]) -> None:
    """Refuse fractions in an integer dtype, which torch would cut off without a word."""
    if tensor.dtype is None or tensor.dtype.startswith(_FLOATING):
        return
    if tensor.fill in ("rand", "randn"):
        message = f"'{tensor.fill}' draws fractions, but {tensor.dtype} has none"
        raise ParamtoolError(message, given["fill"].place, "use randint, or a floating-point dtype")
    filled = tensor.fill if isinstance(tensor.fill, float) else 0
    if not _is_whole(filled if tensor.values is None else tensor.values):
        what = "fill" if tensor.values is None else "values"
        raise ParamtoolError(f"'{what}' has fractions, but {tensor.dtype} has none", given[what].place)


def _is_whole(values: Numbers) -> bool:
    if isinstance(values, tuple):
        return all(_is_whole(each) for each in values)
    return not isinstance(values, float) or values.is_integer()


def _shape(node: Node) -> tuple[int, ...]:
    items = node.items if isinstance(node, Sequence) else [node]
    sizes = []
    for item in items:
        size = item.value if isinstance(item, Scalar) else None
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            message = f"a shape must be a list of sizes, got {describe(item)}"
            raise ParamtoolError(message, item.place, "e.g. [3, 4]")
        sizes.append(size)
    if len(sizes) > MAX_RANK:
        raise ParamtoolError(f"a shape with {len(sizes)} dimensions; at most {MAX_RANK}", node.place)
    if math.prod(size for size in sizes if size) > MAX_INTEGER:
        raise ParamtoolError("a shape with more than 2^63 elements", node.place)
    return tuple(sizes)


def _default(kind: str, dtype: str | None) -> str:
    return _DEFAULT[kind] if dtype is None or dtype.startswith(_FLOATING) else "zeros"


def _fill(node: Node) -> str | float:
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and value in FILLS:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    hint = suggest(value, FILLS) if isinstance(value, str) else None
    raise ParamtoolError(
        f"'fill' must be a number or one of {', '.join(FILLS)}, got {describe(node)}", node.place, hint
    )


def _bounds(fill: str | float, given: dict[str, Node], node: Mapping) -> tuple[int, int | None]:
    bounds: dict[str, int] = {}
    for key in ("low", "high"):
        if key not in given:
            continue
        bound = given[key]
        if fill != "randint":
            raise ParamtoolError(f"'{key}' requires 'fill: randint'", bound.place)
        value = bound.value if isinstance(bound, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            raise ParamtoolError(f"'{key}' must be an int, got {describe(bound)}", bound.place)
        bounds[key] = value
    low, high = bounds.get("low", 0), bounds.get("high")
    if fill == "randint" and (high is None or high <= low):
        hint = "integers are drawn from low (default 0) up to but not including high"
        raise ParamtoolError("randint needs 'high' above 'low'", node.place, hint)
    return low, high


def _values(node: Node) -> Numbers:
    """Read nested lists of numbers that have the form of a tensor."""
    if isinstance(node, Sequence):
        inner = tuple(_values(item) for item in node.items)
        if len({_form(each) for each in inner}) > 1:
            raise ParamtoolError("the lists in 'values' differ in length", node.place)
        return inner
    if isinstance(node, Scalar) and isinstance(node.value, (bool, int, float)):
        return node.value
    raise ParamtoolError(f"'values' must hold numbers in lists, got {describe(node)}", node.place)


def _form(values: Numbers) -> tuple[int, ...]:
    return (len(values), *(_form(values[0]) if values else ())) if isinstance(values, tuple) else ()


def _flag(key: str, given: dict[str, Node], default: bool | None) -> bool | None:
    node = given.get(key)
    if node is None:
        return default
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    raise ParamtoolError(f"'{key}' must be true or false, got {describe(node)}", node.place)


def _dtype(node: Node | None, dtypes: tuple[str, ...]) -> str | None:
    if node is None:
        return None
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, str) and value in dtypes:
        return value
    word = value if isinstance(value, str) else ""
    hint = suggest_dtype(word, dtypes, "e.g. float32, bfloat16, int64")
    raise ParamtoolError(f"unknown dtype {describe(node)}", node.place, hint)
