"""Where the tensors of a module, or of a state_dict, are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from paramtool.elements.equality import equal_values
from paramtool.network.listing import parameters, state_listing
from paramtool.records.extent import Extent
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.extents import extent_of
from paramtool.tensors.named_tensors import named_tensors


def layout_of(module: nn.Module, *, model: str | None = None) -> Layout:
    """Return the names of `module`, and where their tensors and modules are.

    Args:
        module: any module.
        model: what to call it; by default the module's class name.
    """
    listed = parameters(module, model=model)
    tensors = [named.tensor for named in named_tensors(module)]
    first: dict[int, str] = {}
    modules = {
        path: first.setdefault(id(each), path) for path, each in module.named_modules(remove_duplicate=False)
    }
    return Layout(listed, _extents(listed, tensors), modules)


def state_layout(state: Mapping[str, Tensor], *, model: str, by_value: bool = False) -> Layout:
    """Return the names of a state_dict, and where their tensors are.

    Args:
        state: tensors by their names.
        model: what to call it.
        by_value: find tensors that have the same bytes as well.
    """
    listed = state_listing(state, model)
    layout = Layout(listed, _extents(listed, [state[row.name] for row in listed.rows]))
    return layout.with_equal(equal_values(layout.readable, TensorElements(state))) if by_value else layout


def _extents(listed: Listing, tensors: Iterable[Tensor]) -> dict[str, Extent]:
    found = {}
    for row, tensor in zip(listed.rows, tensors, strict=True):
        extent = extent_of(tensor) if row.tied_to is None else None
        if extent is not None:
            found[row.name] = extent
    return found
