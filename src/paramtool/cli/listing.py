"""List what a model has, whatever kind it is of: the rows that several commands begin with."""

from __future__ import annotations

from paramtool.cli.building import build, refuse_weights
from paramtool.cli.cores import available_cores
from paramtool.cli.quick_import import quick_import
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.records.report import Report
from paramtool.sources.model import Buildable, Model
from paramtool.sources.snapshot import Snapshot


def list_model(
    model: Model,
    *,
    module: str | None = None,
    stats: bool = False,
    values: bool = False,
    weights: str | None = None,
) -> Report[ParameterRow, ParameterTotals]:
    """Return every named tensor of `model`; torch comes in here, where the model needs it.

    Args:
        model: what MODEL named.
        module: only what this submodule has, by its own names.
        stats: add the statistics.
        values: add the elements.
        weights: a checkpoint to load into a spec or object.

    Raises:
        ParamtoolError: where the model cannot be built or read, or has no such submodule.
    """
    refuse_weights(model, weights)
    if isinstance(model, Checkpoint):
        return _checkpoint(model, module, stats, values)
    if isinstance(model, Snapshot):
        from paramtool.operations.listing.remembered import remembered

        return remembered(model.report, model.name, module=module, stats=stats, values=values)
    return _network(model, module, stats, values, weights)


def _checkpoint(
    checkpoint: Checkpoint, module: str | None, stats: bool, values: bool
) -> Report[ParameterRow, ParameterTotals]:
    from paramtool.operations.listing.stored import part_of, stored

    part = part_of(checkpoint, module) if module else checkpoint
    report = stored(part)
    if not (stats or values):
        return report
    with quick_import():
        from paramtool.operations.elements.elements import OfCheckpoint
        from paramtool.operations.listing.measuring import measured

    return measured(report, OfCheckpoint(part), stats=stats, values=values, jobs=available_cores())


def _network(
    model: Buildable, module: str | None, stats: bool, values: bool, weights: str | None
) -> Report[ParameterRow, ParameterTotals]:
    built = build(model, values=values or stats, weights=weights)
    with quick_import():
        from paramtool.operations.listing.parameters import parameters
        from paramtool.sources.build import network

    part = network.submodule(built.module, module) if module else built.module
    return parameters(part, stats=stats, values=values, model=model.name)
