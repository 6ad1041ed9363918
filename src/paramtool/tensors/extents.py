"""The bytes of memory that a live tensor covers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from paramtool.records.extent import Extent


def extent_of(tensor: Tensor) -> Extent | None:
    """Return the bytes of `tensor`; None if it has none of its own, as a lazy or a sparse one.

    Positions are addresses, so that two storages over the same memory are seen to be that; on the meta
    device, where every address is 0, they are counted in the storage.
    """
    if is_lazy(tensor) or tensor.is_nested or tensor.layout != torch.strided:
        return None
    try:
        storage = tensor.untyped_storage()
        address = storage.data_ptr()
    except (NotImplementedError, RuntimeError):  # a wrapper around other tensors
        return None
    is_meta = storage.device.type == "meta"
    if not (is_meta or address):
        return None
    size = tensor.itemsize
    return Extent(
        space=("meta", storage._cdata) if is_meta else str(storage.device),
        start=address + int(tensor.storage_offset()) * size,
        itemsize=size,
        shape=tuple(tensor.shape),
        strides=tuple(stride * size for stride in tensor.stride()),
        origin=address,
    )
