"""What a forward pass of a model costs: without values if that is possible, else on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from paramtool.errors import ParamtoolError, UserCodeFailed
from paramtool.models.inputs import own_inputs
from paramtool.models.torch_import import torch_import
from paramtool.quantities import byte_size

if TYPE_CHECKING:
    from paramtool.models.built import BuiltModel
    from paramtool.records.cost import Costs

    Given = tuple[Sequence[Any], Mapping[str, Any]]

MOST_VALUES = 10**9
"""Bytes of parameters and buffers of a model that runs on the CPU, where its forward needs values."""


def forward_cost(model: BuiltModel, given: Given | None = None, **options: Any) -> Costs:
    """Return what a forward pass of `model` computes and keeps.

    Args:
        model: one that becomes a module.
        given: what it is called with, by position and by name; None for the inputs that come with it.
        options: those of `paramtool.operations.cost.measurement.cost`.

    Raises:
        ParamtoolError: if there is no input.
        UserCodeFailed: if the forward fails, also with values if these are few.
    """
    module = model.network(values=False).module
    with torch_import():
        from paramtool.network.spec_tensors import describe_inputs
        from paramtool.operations.cost.measurement import cost
        from paramtool.operations.gradients.refusals import check_forward

    if model.is_sharded:
        hint = "give the module as it is before it is sharded"
        raise ParamtoolError(f"{model.name} is sharded, and each process runs a part of it", hint=hint)
    check_forward(module)
    described = describe_inputs(own_inputs(model), model.dtype) if given is None else given
    options |= {"seed": model.seed, "model": model.name}
    try:
        return cost(module, *described, **options)
    except UserCodeFailed as error:
        return _with_values(model, given, error, options)


def _with_values(model: BuiltModel, given: Given | None, failure: UserCodeFailed, options: Any) -> Costs:
    """Run the model on the CPU, since its forward failed without values."""
    from paramtool.network.spec_tensors import make_inputs
    from paramtool.operations.cost.measurement import cost

    totals = model.listing().totals
    needed = totals.nbytes + totals.buffer_nbytes
    if needed > MOST_VALUES:
        if "meta" in failure.message:
            size, most = byte_size(needed), byte_size(MOST_VALUES)
            why = f"it has {size}, and a model of more than {most} is not run with values"
            failure.set_hint(f"it ran without values: {why}")
        model._point(failure)
        raise failure
    if given is None:
        given = make_inputs(own_inputs(model), model.dtype, model.seed)
    model.prepare()
    module = model.network().module
    if any(each.is_meta for each in module.parameters()):
        raise failure
    try:
        report = cost(module, *given, device="cpu", **options)
    except UserCodeFailed as error:
        model._point(error)
        raise
    note = f"run on the CPU, since without values {failure.message}"
    return replace(report, totals=replace(report.totals, notes=(note, *report.totals.notes)))
