"""Which names of a module share a tensor, or memory."""

from __future__ import annotations

from torch import nn

from paramtool.network.layout import equal_in, layout_of
from paramtool.operations.listing.selection import Selection
from paramtool.operations.sharing.groups import share
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
