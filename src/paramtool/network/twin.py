"""A copy of a module without its values."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from paramtool.tensors.named_tensors import named_tensors


def twin(module: nn.Module, device: str) -> nn.Module:
    """Return a copy of `module` with zeros for its tensors, or nothing on the meta device; ties stay."""
    memo: dict[int, Any] = {}
    for each in named_tensors(module):
        if id(each.tensor) not in memo:
            memo[id(each.tensor)] = _without_values(each.tensor, device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes that are deprecated
        return copy.deepcopy(module, memo)


def _without_values(tensor: Tensor, device: str) -> Tensor:
    if isinstance(tensor, UninitializedBuffer):
        return UninitializedBuffer(device=device, dtype=tensor.dtype)  # type: ignore[call-arg]
    if isinstance(tensor, UninitializedParameter):
        return UninitializedParameter(device=device, dtype=tensor.dtype)  # type: ignore[call-arg]
    empty = torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(empty, requires_grad=tensor.requires_grad)
    return empty
