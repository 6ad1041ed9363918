"""The memory of live tensors as NumPy arrays, and arrays as tensors, without a copy."""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.dtypes import Array, Dtype, dtype_of
from paramtool.tensors.memory import resolved
from paramtool.tensors.named_tensors import dtype_name


def array_of(flat: Tensor) -> tuple[Array, Dtype]:
    """Return the elements of a flat tensor as a block, and its dtype.

    It is the tensor's own memory where that is plain memory of this machine, in order.

    Raises:
        ParamtoolError: if values of such a dtype are not read.
    """
    dtype = dtype_of(dtype_name(flat), "a tensor")
    plain = resolved(flat)
    try:
        return _shared(plain, dtype), dtype
    except (RuntimeError, TypeError):  # of a class that wraps others
        return _shared(torch.empty(plain.shape, dtype=plain.dtype, device="cpu").copy_(plain), dtype), dtype


def _shared(plain: Tensor, dtype: Dtype) -> Array:
    """Return the memory of a tensor as an array that keeps the tensor alive.

    ``Tensor.numpy`` would do it as well, but a storage can never be resized again after that, and FSDP
    resizes those of a person's model.
    """
    if not plain.numel():
        return np.empty(0, dtype.held)
    memory = (ctypes.c_char * plain.nbytes).from_address(plain.data_ptr())
    memory.tensor = plain  # type: ignore[attr-defined]
    return np.frombuffer(memoryview(memory), dtype.held)


def tensor_of(block: Array, dtype: torch.dtype) -> Tensor:
    """Return a block, which holds elements of `dtype`, as a flat tensor over the same memory."""
    return torch.from_numpy(block).view(dtype)
