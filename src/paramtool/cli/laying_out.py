"""Find where the tensors of a model are in memory, whatever kind of model it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramtool.cli.building import build, refuse_weights
from paramtool.cli.cores import available_cores
from paramtool.cli.quick_import import quick_import
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.models.open import Model
from paramtool.models.snapshot import Snapshot

if TYPE_CHECKING:
    from paramtool.records.layout import EqualValues, Layout


def laid_out(
    model: Model, *, by_value: bool = False, weights: str | None = None
) -> tuple[Layout, EqualValues | None]:
    """Return where the tensors of `model` are, and which have the same bytes if that is asked for.

    Args:
        model: what MODEL named.
        by_value: compare the elements as well.
        weights: a checkpoint to load into a spec or object.

    Raises:
        ParamtoolError: where the model cannot be built or read, or has no values to compare.
    """
    refuse_weights(model, weights)
    if isinstance(model, Checkpoint):
        return _checkpoint(model, by_value)
    if isinstance(model, Snapshot):
        from paramtool.records.layout import Layout

        if by_value:
            raise ParamtoolError(f"{model.name} is a snapshot and has no values to compare")
        return Layout(model.report), None
    return _network(model, by_value, weights)


def _checkpoint(checkpoint: Checkpoint, by_value: bool) -> tuple[Layout, EqualValues | None]:
    from paramtool.operations.listing.stored import stored
    from paramtool.operations.sharing.checkpoint_layout import layout_of_checkpoint

    layout = layout_of_checkpoint(checkpoint, stored(checkpoint))
    if not by_value:
        return layout, None
    from paramtool.elements.equality import equal_values
    from paramtool.elements.files import FileElements

    return layout, equal_values(layout.listed.rows, FileElements(checkpoint), jobs=available_cores())


def _network(model: Model, by_value: bool, weights: str | None) -> tuple[Layout, EqualValues | None]:
    built = build(model, values=by_value, weights=weights)
    with quick_import():
        from paramtool.network.layout import equal_in, layout_of

    layout = layout_of(built.module, model=model.name)
    return layout, equal_in(built.module, layout) if by_value else None
