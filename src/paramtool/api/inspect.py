"""List what a model has: ``paramtool inspect``."""

from __future__ import annotations

from paramtool.api.arguments import check_flags, check_text
from paramtool.api.open import open
from paramtool.models.given import Openable
from paramtool.records.parameter import Listing


def inspect(
    model: Openable,
    *,
    name: str | None = None,
    module: str | None = None,
    stats: bool = False,
    values: bool = False,
) -> Listing:
    """List every named tensor: parameters, buffers and plain tensor attributes.

    Names and order are those of ``named_parameters(remove_duplicate=False)``, then the buffers', then the
    plain tensors'.  A tensor under several names has a row for each, tied to the first.

    Of a module with DTensors, as FSDP2 and tensor parallel have, a row is about the whole tensor; if `stats`
    or `values` are asked for, every process calls this, and gets the same.  Extremes, counts and the
    histogram are those that one process would find; mean, std and norm are so up to the rounding of float64.

    Example:
        >>> from torch import nn
        >>> [(row.name, row.shape) for row in inspect(nn.Linear(4, 3))]
        [('weight', (3, 4)), ('bias', (3,))]

    Args:
        model: a name as on the command line, a module, a state_dict or an open model; lazy and meta
            parameters are fine if no values are asked for.
        name: what to call it in the report.
        module: list only what is below this dotted path, with names relative to it.
        stats: add mean, std, min, max, norm, counts of zeros, NaN and infinity, and a histogram.
        values: add the elements.  Those of a spec, and their statistics, are the constructors': `initialize`
            returns what its ``init:`` leaves.

    Raises:
        CannotOpen: if what is named cannot be read.
        CannotAnswer: if there are no statistics or values, as in a snapshot without them.
        ParamtoolError: if the model cannot be built, or has no such submodule.
    """
    check_text("module", module)
    check_flags(stats=stats, values=values)
    return open(model, name=name).listing(module=module, stats=stats, values=values)
