"""The bytes that a tensor has in memory."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor


def as_bytes(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor, without a copy and without NumPy; it must outlive this."""
    return memoryview((ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())).cast("B")


def resolved(tensor: Tensor) -> Tensor:
    """Return a tensor whose bytes in this machine's memory are those of the elements, in row-major order."""
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()


def digest(tensor: Tensor) -> str:
    """Return the SHA-256 of the elements in row-major order, as little-endian machines hold them."""
    plain = resolved(tensor)  # held by its name while its memory is read
    return hashlib.sha256(as_bytes(plain)).hexdigest()


@torch.no_grad()
def fill(target: Tensor, blocks: Iterable[Tensor]) -> None:
    """Copy the elements, which come in flat blocks in row-major order, into `target`."""
    tensor = target.detach()
    whole = tensor if tensor.is_contiguous() else torch.empty(tensor.shape, dtype=tensor.dtype)
    flat = whole.view(-1)
    start = 0
    for block in blocks:
        flat[start : start + block.numel()] = block
        start += block.numel()
    if whole is not tensor:
        tensor.copy_(whole)
