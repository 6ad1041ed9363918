"""Compare two modules, or two listings of them."""

from __future__ import annotations

from torch import nn

from paramtool.elements.changed_values import ChangedValues
from paramtool.network.listing import parameters
from paramtool.operations.comparison.differences import differences
from paramtool.records.difference import Differences
from paramtool.records.parameter import Listing
from paramtool.tensors.elements import ModuleElements
from paramtool.tensors.named_tensors import check_values


def compare(
    a: nn.Module | Listing,
    b: nn.Module | Listing,
    *,
    values: bool = False,
    atol: float = 0.0,
    rtol: float = 0.0,
) -> Differences:
    """Return in what `b` differs from `a`, and whether it would load what `a` saves.

    Example:
        >>> a, b = nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3))
        >>> [(row.change, row.name, row.now) for row in compare(a, b).rows]
        [('renamed', 'weight', '0.weight'), ('renamed', 'bias', '0.bias')]
        >>> compare(a, b).totals.loads
        False

    Args:
        a: a module, or what `parameters` lists of one.
        b: another.
        values: compare the elements as well, of two modules.
        atol, rtol: how far elements may be apart, as ``torch.allclose`` has it.

    Raises:
        TypeError: where `values` are asked for of a listing.
        ValueError: where they are asked for of tensors on the meta device.
    """
    changed = None
    if values:
        if not (isinstance(a, nn.Module) and isinstance(b, nn.Module)):
            raise TypeError("a listing has no values to compare; give two modules")
        for module in (a, b):
            check_values(module)
        changed = ChangedValues(ModuleElements(a), ModuleElements(b), atol=atol, rtol=rtol)
    return differences(_listed(a, "a"), _listed(b, "b"), changed)


def _listed(model: nn.Module | Listing, name: str) -> Listing:
    return parameters(model, model=name) if isinstance(model, nn.Module) else model
