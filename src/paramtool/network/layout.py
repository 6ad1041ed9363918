"""Where the tensors of a module, or of a state_dict, are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch.distributed as dist
from torch import Tensor, nn

from paramtool.elements.equality import equal_values
from paramtool.network.listing import parameters, state_listing
from paramtool.records.extent import Extent
from paramtool.records.layout import Held, Layout
from paramtool.records.parameter import Listing
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.extents import extent_of
from paramtool.tensors.held_parts import first_parts
from paramtool.tensors.named_tensors import named_tensors
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharded_elements import ShardedElements
from paramtool.tensors.sharding import is_sharded, local_of


def layout_of(module: nn.Module, *, model: str | None = None) -> Layout:
    """Return the names of `module`, and where their tensors and modules are.

    Args:
        module: any module; if it is sharded, all processes call this.
        model: what to call it; by default the module's class name.

    Raises:
        ParamtoolError: in every process, if one has other tensors.
    """
    listed = parameters(module, model=model)
    tensors = [named.tensor for named in named_tensors(module)]
    first: dict[int, str] = {}
    modules = {
        path: first.setdefault(id(each), path) for path, each in module.named_modules(remove_duplicate=False)
    }
    return Layout(listed, _extents(listed, tensors), modules, held=_held(listed, tensors))


def state_layout(state: Mapping[str, Tensor], *, model: str, by_value: bool = False) -> Layout:
    """Return the names of a state_dict, and where their tensors are.

    Args:
        state: tensors by their names.
        model: what to call it.
        by_value: find tensors that have the same bytes as well.
    """
    listed = state_listing(state, model)
    tensors = [state[row.name] for row in listed.rows]
    layout = Layout(listed, _extents(listed, tensors), held=_held(listed, tensors))
    if not by_value:
        return layout
    elements = ShardedElements(state) if layout.held is not None else TensorElements(state)
    return layout.with_equal(equal_values(layout.readable, elements))


def _extents(listed: Listing, tensors: Iterable[Tensor]) -> dict[str, Extent]:
    found = {}
    for row, tensor in zip(listed.rows, tensors, strict=True):
        extent = extent_of(local_of(tensor)) if row.tied_to is None else None
        if extent is not None:
            found[row.name] = extent
    return found


def _held(listed: Listing, tensors: Iterable[Tensor]) -> Held | None:
    """Return what this process holds of a model that is sharded, and how it hears of the others."""
    pairs = zip(listed.rows, tensors, strict=True)
    own = {row.name: tensor for row, tensor in pairs if row.tied_to is None and row.shape is not None}
    sharded = frozenset(name for name, tensor in own.items() if is_sharded(tensor))
    if not (sharded and dist.is_initialized()):
        return None
    return Held(sharded, first_parts(own), lambda own: gathered(lambda: own))
