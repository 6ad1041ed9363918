"""Compare two models: ``paramtool diff``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paramtool.api.arguments import check_flags, check_number
from paramtool.api.open import open
from paramtool.cores import available_cores
from paramtool.errors import BadArgument
from paramtool.models.given import Openable
from paramtool.models.model import Model
from paramtool.models.processes import together
from paramtool.operations.comparison.differences import differences
from paramtool.operations.comparison.load_verdict import Load
from paramtool.records.difference import Differences

if TYPE_CHECKING:
    from paramtool.operations.comparison.value_comparison import ValueComparison


def diff(
    a: Openable,
    b: Openable,
    *,
    values: bool = False,
    atol: float = 0.0,
    rtol: float = 0.0,
    spectrum: bool = False,
) -> Differences:
    """Return how `b` differs from `a`, and whether it would load what `a` saves.

    If one of them is a module with DTensors, every process calls this, and gets the same.  Elements are
    compared part by part, or, of two that are sharded in different ways, block by block in every process.

    Example:
        >>> from torch import nn
        >>> report = diff(nn.Linear(4, 3), nn.Sequential(nn.Linear(4, 3)))
        >>> [(row.change, row.name, row.now) for row in report]
        [('renamed', 'weight', '0.weight'), ('renamed', 'bias', '0.bias')]
        >>> report.totals.loads
        False

    Args:
        a: the old model: a name as on the command line, a module, a state_dict, a report of `inspect` or an
            open model.
        b: the new model, likewise.
        values: compare the elements as well; those of a spec as `init` would leave them.
        atol, rtol: how far elements may be apart, as ``torch.allclose`` has it.
        spectrum: with `values`, compute the singular values of each difference of two or more dimensions:
            its rank, effective rank, and what the largest of them hold.

    Raises:
        BadArgument: for a negative tolerance, or a spectrum without values.
        CannotAnswer: if values are asked for of a model without any.
        ParamtoolError: if a model cannot be opened or built.
    """
    check_flags(values=values, spectrum=spectrum)
    if spectrum and not values:
        raise BadArgument("spectrum is about values, which are not compared", hint="add values=True")
    check_number("atol", atol)
    check_number("rtol", rtol)
    with together(a, b):
        was, now = _opened(a, b, values)
        compared = changed_values(was, now, atol, rtol, spectrum) if values else None
        one, other = (replace(each.listing(), model=each.name) for each in (was, now))  # a snapshot's differs
        state = was.state_dict()
        load = Load(state, now.load_answer(state))
    if compared is None:
        return differences(one, other, load=load)
    with was.reading(), now.reading():
        return differences(one, other, compared, load=load)


def _opened(a: Openable, b: Openable, values: bool) -> tuple[Model, Model]:
    """Return both opened, as their rules leave them if values are compared."""
    names = ("a" if not isinstance(a, str) else None, "b" if not isinstance(b, str) else None)
    was, now = open(a, name=names[0]), open(b, name=names[1])
    return (was.initialized(), now.initialized()) if values else (was, now)


def changed_values(a: Model, b: Model, atol: float, rtol: float, spectrum: bool) -> ValueComparison:
    """Return what compares the elements of two models, building them if needed."""
    for each in (a, b):
        each.prepare()
    elements = a.elements(), b.elements()
    is_sharded = a.is_sharded or b.is_sharded
    options: dict[str, Any] = {"atol": atol, "rtol": rtol, "jobs": available_cores()}
    if spectrum:
        from paramtool.elements.changed_spectra import ChangedSpectra as Changes
    else:
        from paramtool.elements.changed_values import ChangedValues as Changes  # type: ignore[assignment]
    if is_sharded:
        from paramtool.tensors.sharded_changes import ShardedChanges

        return ShardedChanges(*elements, **options, whole=Changes)
    return Changes(*elements, **options)
