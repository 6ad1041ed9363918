"""Which names of a module share a tensor, or memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.named_tensors import check_values, named_tensors
from paramtool.operations.elements.elements import ModuleElements
from paramtool.operations.listing.parameters import parameters
from paramtool.operations.listing.selection import Selection
from paramtool.operations.sharing.equality import equal_values
from paramtool.operations.sharing.extent import Extent
from paramtool.operations.sharing.grouping import EqualValues, Layout, share
from paramtool.records.sharing import Sharing


def sharing(
    module: nn.Module, *, by_value: bool = False, selection: Selection | None = None, model: str | None = None
) -> Sharing:
    """Return a row for each name of `module` that shares its tensor, or memory, with another.

    Example:
        >>> linear = nn.Linear(1, 1, bias=False)
        >>> report = sharing(nn.Sequential(linear, linear))
        >>> [(row.group, row.sharing, row.name, row.tied_to) for row in report.rows]
        [(1, 'tied', '0.weight', None), (1, 'tied', '1.weight', '0.weight')]

    Args:
        module: any module; on the meta device storages stand for memory, and lazy parameters have none.
        by_value: find tensors that share nothing and have the same bytes, dtype and shape as well; but
            not those that hold one value throughout.
        selection: keep the groups of which it keeps a name.
        model: what to call the model in the report; by default the module's class name.

    Raises:
        NothingMatched: where the selection keeps no name at all.
        ValueError: where values are asked for of tensors on the meta device.
    """
    layout = layout_of(module, model=model)
    equal = equal_in(module, layout) if by_value else None
    return share(layout, equal=equal, selection=selection)


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
