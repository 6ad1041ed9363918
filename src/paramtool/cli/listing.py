"""List what a model has, whatever kind it is of: the rows that several commands begin with."""

from __future__ import annotations

from paramtool.cli import console
from paramtool.cli.quick_import import quick_import
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.records.report import Report
from paramtool.sources.spec.document import Spec


def list_model(
    model: Spec, *, module: str | None = None, stats: bool = False, values: bool = False
) -> Report[ParameterRow, ParameterTotals]:
    """Return every named tensor of `model`; torch comes in here, where the model needs it.

    Args:
        model: what MODEL named.
        module: only what this submodule has, by its own names.
        stats: add the statistics.
        values: add the elements.

    Raises:
        ParamtoolError: where the model cannot be built, or has no such submodule.
    """
    with quick_import():
        from paramtool.operations.parameters import parameters
        from paramtool.sources.build import network

    built = network.values(model) if values or stats else network.structure(model)
    for text in built.notes:
        console.note(text)
    part = network.submodule(built.module, module) if module else built.module
    return parameters(part, stats=stats, values=values, model=model.text.name)
