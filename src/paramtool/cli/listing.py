"""List what a model has, whatever kind it is of: the rows that several commands begin with."""

from __future__ import annotations

from paramtool.api.reading import listed
from paramtool.cli.building import build, refuse_weights
from paramtool.cli.cores import available_cores
from paramtool.cli.quick_import import quick_import
from paramtool.models.open import Buildable, Model
from paramtool.records.parameter import Listing


def list_model(
    model: Model,
    *,
    module: str | None = None,
    stats: bool = False,
    values: bool = False,
    weights: str | None = None,
) -> Listing:
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
    if isinstance(model, Buildable):
        return _network(model, module, stats, values, weights)
    return listed(model, module=module, stats=stats, values=values, jobs=available_cores())


def _network(model: Buildable, module: str | None, stats: bool, values: bool, weights: str | None) -> Listing:
    built = build(model, values=values or stats, weights=weights)
    with quick_import():
        from paramtool.network import network
        from paramtool.network.listing import parameters

    part = network.submodule(built.module, module) if module else built.module
    return parameters(part, stats=stats, values=values, model=model.name, jobs=available_cores())
