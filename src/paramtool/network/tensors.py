"""Make the tensors that a spec writes down."""

from __future__ import annotations

import torch
from torch import nn

from paramtool.language.tree import TensorNode

_FACTORIES = {"zeros": torch.zeros, "ones": torch.ones, "rand": torch.rand, "randn": torch.randn}


def make_tensor(node: TensorNode) -> torch.Tensor:
    """Return the tensor of `node`, on the default device; a Parameter for the kind of that name."""
    dtype = getattr(torch, node.dtype) if node.dtype else None
    tensor = _filled(node, dtype)
    if node.kind == "Parameter":
        return nn.Parameter(tensor, requires_grad=node.requires_grad is not False)
    return tensor.requires_grad_() if node.requires_grad else tensor


def _filled(node: TensorNode, dtype: torch.dtype | None) -> torch.Tensor:
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
