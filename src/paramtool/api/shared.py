"""Find which names share a tensor, or memory: ``paramtool shared``."""

from __future__ import annotations

from paramtool.api.arguments import check_flags, check_type
from paramtool.api.open import open
from paramtool.models.given import Openable
from paramtool.operations.listing.selection import Selection
from paramtool.operations.sharing.groups import share
from paramtool.records.sharing import Sharing


def shared(
    model: Openable, *, name: str | None = None, by_value: bool = False, selection: Selection | None = None
) -> Sharing:
    """Return a row for each name that shares its tensor, or memory, with another.

    Of a module with DTensors every process calls this, and gets the same: parts that overlap in any process
    are shared.

    Example:
        >>> from torch import nn
        >>> linear = nn.Linear(1, 1, bias=False)
        >>> report = shared(nn.Sequential(linear, linear))
        >>> [(row.group, row.sharing, row.name, row.tied_to) for row in report]
        [(1, 'tied', '0.weight', None), (1, 'tied', '1.weight', '0.weight')]

    Args:
        model: a name as on the command line, a module, a state_dict or an open model.  On the meta device
            storages stand for memory, and lazy parameters have none.
        name: what to call it in the report.
        by_value: find tensors that share nothing and have the same bytes, dtype and shape as well; but
            not those that hold one value throughout.
        selection: keep the groups of which it keeps a name.

    Raises:
        NothingMatched: if the selection keeps no name at all.
        CannotAnswer: if values are asked for of a model without any.
        ParamtoolError: if the model cannot be opened or built.
    """
    check_flags(by_value=by_value)
    check_type("selection", selection, (Selection, type(None)), "a Selection")
    return share(open(model, name=name).layout(by_value=by_value), selection=selection)
