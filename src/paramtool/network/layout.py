"""Which names of a module share a tensor, or memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.elements.equality import equal_values
from paramtool.network.listing import parameters
from paramtool.records.extent import Extent
from paramtool.records.layout import EqualValues, Layout
from paramtool.tensors.elements import ModuleElements
from paramtool.tensors.named_tensors import check_values, named_tensors


def layout_of(module: nn.Module, *, model: str | None = None) -> Layout:
    """Return the names of `module`, and where their tensors and modules are."""
    listed = parameters(module, model=model)
    extents = {}
    for row, named in zip(listed.rows, named_tensors(module), strict=True):
        extent = extent_of(named.tensor) if row.tied_to is None else None
        if extent is not None:
            extents[row.name] = extent
    first: dict[int, str] = {}
    modules = {
        path: first.setdefault(id(each), path) for path, each in module.named_modules(remove_duplicate=False)
    }
    return Layout(listed, extents, modules)


def equal_in(module: nn.Module, layout: Layout) -> EqualValues:
    """Return which tensors of `module`, laid out as `layout`, have the same bytes.

    Raises:
        ValueError: where they are on the meta device.
    """
    check_values(module)
    rows = [row for row in layout.listed.rows if row.tensor in layout.extents]
    return equal_values(rows, ModuleElements(module))


def extent_of(tensor: Tensor) -> Extent | None:
    """Return the bytes of `tensor`; None where it has none of its own, as a lazy or a sparse one.

    Positions are addresses, so that two storages over the same memory are seen to be that; on the meta
    device, where every address is 0, they are counted in the storage.
    """
    if is_lazy(tensor) or tensor.layout != torch.strided:
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
