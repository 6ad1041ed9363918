"""The memory of live tensors as NumPy arrays, and arrays as tensors, without a copy."""

from __future__ import annotations

import torch
from torch import Tensor

from paramtool.elements.dtypes import Array, Dtype, dtype_of
from paramtool.tensors.named_tensors import dtype_name

_BITS = {
    torch.bfloat16: torch.uint16,
    torch.bool: torch.uint8,
    torch.complex32: torch.uint32,
    **dict.fromkeys(
        (
            torch.float8_e4m3fn,
            torch.float8_e5m2,
            torch.float8_e4m3fnuz,
            torch.float8_e5m2fnuz,
            torch.float8_e8m0fnu,
            torch.float4_e2m1fn_x2,
        ),
        torch.uint8,
    ),
}
"""What torch calls the bits of a dtype that blocks hold as bits."""


def array_of(flat: Tensor) -> tuple[Array, Dtype]:
    """Return the elements of a flat tensor as a block, and its dtype.

    It is the tensor's own memory where that is plain memory of this machine, in order.

    Raises:
        ParamtoolError: if values of such a dtype are not read.
    """
    dtype = dtype_of(dtype_name(flat), "a tensor")
    plain = flat.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if plain.numel() == 1:  # whose stride torch does not mind, but view does
        plain = plain.as_strided((1,), (1,))
    try:
        return plain.view(_BITS.get(plain.dtype, plain.dtype)).numpy(), dtype
    except (RuntimeError, TypeError):  # of a class that wraps others
        copied = torch.empty(plain.shape, dtype=plain.dtype, device="cpu").copy_(plain)
        return copied.view(_BITS.get(copied.dtype, copied.dtype)).numpy(), dtype


def tensor_of(block: Array, dtype: torch.dtype) -> Tensor:
    """Return a block, which holds elements of `dtype`, as a flat tensor over the same memory."""
    return torch.from_numpy(block).view(dtype)
