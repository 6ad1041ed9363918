"""Make the tensors that a spec writes down: parameters, buffers, and what the model is called with."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from paramtool.language.document import Inputs
from paramtool.language.tree import TensorNode
from paramtool.network.free_memory import check_fits
from paramtool.network.meta_device import StructureOnly, default_dtype
from paramtool.tensors import streams

_FACTORIES = {"zeros": torch.zeros, "ones": torch.ones, "rand": torch.rand, "randn": torch.randn}


def make_tensor(node: TensorNode) -> torch.Tensor:
    """Return the tensor of `node`, on the default device; a Parameter for the kind of that name."""
    dtype = getattr(torch, node.dtype) if node.dtype else None
    tensor = _filled(node, dtype)
    if node.kind == "Parameter":
        return nn.Parameter(tensor, requires_grad=node.requires_grad is not False)
    return tensor.requires_grad_() if node.requires_grad else tensor


def _filled(node: TensorNode, dtype: torch.dtype | None) -> torch.Tensor:
    if node.stored is not None:
        found: Tensor = node.stored()
        return found if dtype is None else found.to(dtype)
    if node.values is not None:
        if node.kind == "Parameter":  # which must be floating point, though its values may look whole
            dtype = dtype or torch.get_default_dtype()
        return torch.tensor(node.values, dtype=dtype)
    shape = node.shape or ()
    if isinstance(node.fill, (int, float)):
        return torch.full(shape, node.fill, dtype=dtype or torch.get_default_dtype())
    if node.fill == "randint" and node.high is not None:
        return torch.randint(node.low, node.high, shape, dtype=dtype or torch.int64)
    if node.fill == "arange":
        count = torch.Size(shape).numel()
        return torch.arange(count, dtype=dtype or torch.get_default_dtype()).reshape(shape)
    return _FACTORIES[node.fill](shape, dtype=dtype)


STREAM = ".input"
"""Names of the streams begin so; no parameter's name begins with a dot."""

TARGET = ".target"

_DRAWN = ("rand", "randn")


class Arguments(NamedTuple):
    """What a model is called with, by position and by name."""

    positional: tuple[Tensor, ...]
    named: dict[str, Tensor]


def make_inputs(inputs: Inputs, dtype: str | None = None, seed: int = 0) -> Arguments:
    """Return the tensors of `inputs`, each from a random stream of its own.

    Args:
        inputs: what the spec, or an option, writes.
        dtype: of floating-point numbers, where an input does not say; they are drawn in float32 and
            cast, so that the dtype does not change them.
        seed: of the streams.

    Raises:
        ParamtoolError: if they do not fit in this machine's memory.
    """
    nodes = (*inputs.positional, *inputs.named.values())
    if nodes:
        check_fits("the inputs", sum(map(_nbytes, nodes)), nodes[0].place)
    with torch.random.fork_rng(devices=[]), default_dtype(dtype):
        positional = tuple(
            _make(node, seed, f"{STREAM}.{index}") for index, node in enumerate(inputs.positional)
        )
        named = {name: _make(node, seed, f"{STREAM}.{name}") for name, node in inputs.named.items()}
    return Arguments(positional, named)


def describe_inputs(inputs: Inputs, dtype: str | None = None) -> Arguments:
    """Return the tensors of `inputs` on the meta device, where they have shapes and dtypes and no values.

    Args:
        inputs: what the spec, or an option, writes.
        dtype: of floating-point numbers, where an input does not say.
    """
    with default_dtype(dtype):
        return Arguments(
            tuple(map(_described, inputs.positional)),
            {name: _described(node) for name, node in inputs.named.items()},
        )


def _described(node: TensorNode) -> Tensor:
    if node.stored is not None or node.values is not None:
        return make_tensor(node).to("meta")
    with StructureOnly():
        return make_tensor(node)


def make_target(node: TensorNode, shape: tuple[int, ...], dtype: str | None, seed: int) -> Tensor:
    """Return the tensor of `node`, of `shape` if the node says none.

    Raises:
        ParamtoolError: if it does not fit in this machine's memory.
    """
    is_shaped = node.shape is not None or node.values is not None or node.stored is not None
    node = node if is_shaped else replace(node, shape=shape)
    check_fits("the elements of the target", _nbytes(node), node.place)
    with torch.random.fork_rng(devices=[]), default_dtype(dtype):
        return _make(node, seed, TARGET)


def _nbytes(node: TensorNode) -> int:
    """Return about how many bytes it takes; literal values are as few as a spec is long."""
    return math.prod(node.shape or ()) * (getattr(torch, node.dtype).itemsize if node.dtype else 4)


def _make(node: TensorNode, seed: int, name: str) -> Tensor:
    torch.set_rng_state(streams.stream(seed, name).get_state())
    if node.stored is not None or node.values is not None or node.fill not in _DRAWN:
        return make_tensor(node)
    dtype = getattr(torch, node.dtype) if node.dtype else torch.get_default_dtype()
    if dtype.is_complex:
        return make_tensor(node)
    draw = torch.rand if node.fill == "rand" else torch.randn
    return draw(node.shape or (), dtype=torch.float32).to(dtype)
