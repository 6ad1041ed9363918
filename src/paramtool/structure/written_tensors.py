"""The tensors that a spec writes down."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from paramtool.language.limits import MAX_INTEGER
from paramtool.language.tree import Numbers, TensorNode
from paramtool.structure.facts import shipped_facts
from paramtool.structure.modules import Tensor, check_shape
from paramtool.structure.unsure import Unsure, require

_TAKE_GRADIENTS = ("float", "bfloat", "complex")
_SURE = (
    "float64", "float32", "float16", "bfloat16", "complex128", "complex64", "int64", "int32", "int16", "int8",
    "uint8", "bool",
)  # fmt: skip
"""The dtypes that torch has had for long; for others it is asked."""


def make_tensor(node: TensorNode, default: str) -> Tensor:
    """Return the tensor of `node`; `default` is the dtype of floating-point tensors.

    Raises:
        Unsure: for values, sizes and dtypes that torch may refuse.
    """
    dtype = node.dtype or _dtype(node, default)
    require(dtype in _SURE, f"a tensor of {dtype}")
    if node.values is not None:
        shape = _shape(node.values)
    else:
        shape = node.shape or ()
        _check_fill(node)
    check_shape(shape, shipped_facts().itemsizes[dtype], fewest=0)
    requires_grad = node.requires_grad is not False if node.kind == "Parameter" else bool(node.requires_grad)
    require(not requires_grad or dtype.startswith(_TAKE_GRADIENTS), f"a gradient of {dtype}")
    return Tensor(shape, dtype, requires_grad)


def as_parameter(tensor: Tensor, is_anchored: bool) -> Tensor:
    """Return the Parameter that torch makes over the memory of a plain tensor.

    Only of one that is anchored may others be made.
    """
    require(tensor.dtype.startswith(_TAKE_GRADIENTS), f"a parameter of {tensor.dtype}")
    return Tensor(tensor.shape, tensor.dtype, True, memory=tensor if is_anchored else None)


def _dtype(node: TensorNode, default: str) -> str:
    """Return the dtype that torch infers."""
    if node.values is not None and node.kind != "Parameter":
        kinds = {type(value) for value in _numbers(node.values)}
        if kinds and float not in kinds:
            return "int64" if int in kinds else "bool"
    if node.values is None and node.fill == "randint":
        return "int64"
    return default


def _check_fill(node: TensorNode) -> None:
    bounds = (node.fill, node.low, node.high)
    for number in bounds:
        if isinstance(number, (int, float)) and not _is_sure(number):
            raise Unsure("a number that torch may refuse")


def _shape(values: Numbers) -> tuple[int, ...]:
    require(all(_is_sure(number) for number in _numbers(values)), "a number that torch may refuse")
    shape = []
    while isinstance(values, tuple):
        shape.append(len(values))
        require(len(values) > 0, "values without a number")
        values = values[0]
    return tuple(shape)


def _numbers(values: Numbers) -> Iterator[bool | int | float]:
    if isinstance(values, tuple):
        for each in values:
            yield from _numbers(each)
    else:
        yield values


def _is_sure(number: float) -> bool:
    return abs(number) <= MAX_INTEGER and isfinite(number)
