"""What a tensor lacks that is not an ordinary one: sizes, memory of its own, or values that can be read."""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

MOST_DENSE = 1 << 26
"""Elements of a sparse tensor that is made dense to be read."""


def shape_of(tensor: Tensor) -> tuple[int, ...] | None:
    """Return the sizes; None for a lazy or a nested tensor, which has none."""
    if is_lazy(tensor) or tensor.is_nested:
        return None
    return tuple(tensor.shape)


def is_strided(tensor: Tensor) -> bool:
    """Return whether its elements lie in memory of its own by strides, as those of nearly all do."""
    if is_lazy(tensor) or tensor.is_nested or tensor.layout is not torch.strided:
        return False
    return not (tensor.is_quantized or is_traceable_wrapper_subclass(tensor))


def nbytes_of(tensor: Tensor) -> int | None:
    """Return the bytes of its elements, or of the parts of a sparse one; None where that is not known."""
    if is_lazy(tensor) or tensor.is_nested:
        return None
    if tensor.layout is torch.strided:
        return tensor.nbytes
    parts = parts_of(tensor)
    return sum(each.nbytes for each in parts) if parts else None


def parts_of(tensor: Tensor) -> list[Tensor]:
    """Return the dense tensors that a sparse one is made of; none for other layouts."""
    layout = tensor.layout
    if layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return []


def lack_of_values(tensor: Tensor) -> str | None:
    """Return why the values of a tensor that is not lazy cannot be read, as what follows its name."""
    if tensor.is_meta:
        return "is on the meta device and has no values"
    fake = sys.modules.get("torch._subclasses.fake_tensor")
    if fake is not None and isinstance(tensor, fake.FakeTensor):
        return "is a FakeTensor and has no values"
    if tensor.is_nested:
        return "is a nested tensor, whose values cannot be read"
    if is_traceable_wrapper_subclass(tensor):
        return f"is a {type(tensor).__name__}, which keeps its values in other tensors"
    if tensor.is_quantized:
        return "is quantized, and its values cannot be read"
    if str(tensor.dtype).startswith("torch.bits"):
        return f"is {str(tensor.dtype).removeprefix('torch.')}, and its values cannot be read"
    if tensor.layout is not torch.strided:
        is_large = tensor.numel() > MOST_DENSE
        return f"is sparse with {tensor.numel():,} elements, too many to read" if is_large else None
    if tensor.numel() and not tensor.untyped_storage().nbytes():
        return "has no values: its memory was freed"
    return None


def dense(tensor: Tensor) -> Tensor:
    """Return a sparse tensor with all its elements; any other as it is."""
    return tensor if tensor.layout is torch.strided else tensor.to_dense()
