"""The memory of live tensors as NumPy arrays, and arrays as tensors, without a copy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.dtypes import Array, Dtype, dtype_of
from paramtool.tensors.named_tensors import dtype_name


class _Memory:
    """Lends the memory of a contiguous tensor to NumPy, read-only, and holds the tensor as long.

    ``Tensor.numpy`` would do so as well, but after it the tensor could not be resized any more.
    """

    def __init__(self, tensor: Tensor, dtype: Dtype) -> None:
        self._tensor = tensor
        self.__array_interface__ = {
            "version": 3,
            "shape": (tensor.numel(),),
            "typestr": dtype.held.str,
            "data": (tensor.data_ptr(), True),
        }


def array_of(flat: Tensor) -> tuple[Array, Dtype]:
    """Return the elements of a flat tensor as a block, and its dtype.

    It is the tensor's own memory where that is plain memory of this machine, in order.

    Raises:
        ParamtoolError: if values of such a dtype are not read.
    """
    dtype = dtype_of(dtype_name(flat), "a tensor")
    plain = flat.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if not plain.numel():
        return np.empty(0, dtype.held), dtype
    if not _has_memory(plain):
        plain = torch.empty(plain.shape, dtype=plain.dtype, device="cpu").copy_(plain)
    return np.asarray(_Memory(plain, dtype)), dtype


def _has_memory(tensor: Tensor) -> bool:
    """Return whether a tensor has memory of its own: one of a class that wraps others has none."""
    try:
        return tensor.data_ptr() != 0
    except RuntimeError:
        return False


def tensor_of(block: Array, dtype: torch.dtype) -> Tensor:
    """Return a block, which holds elements of `dtype`, as a flat tensor over the same memory."""
    return torch.from_numpy(block).view(dtype)
