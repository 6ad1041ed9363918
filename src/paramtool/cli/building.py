"""Build the network of a model, with the weights of a checkpoint in it, and say what there is to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.cli.quick_import import quick_import
from paramtool.errors import ParamtoolError
from paramtool.models.open import Buildable, Model, buildable, open_checkpoint

if TYPE_CHECKING:
    from paramtool.network.construction import Network


def build(
    model: Model,
    *,
    values: bool,
    weights: str | None = None,
    rng: str = "streams",
    tell: Callable[[str], object] = console.note,
) -> Network:
    """Return the network of `model`; torch comes in here.

    Args:
        model: what MODEL named.
        values: with values on the CPU, or names and shapes only.
        weights: the checkpoint to load; without `values` only its names and shapes are compared.
        rng: where the initial values come from.
        tell: takes what there is to say.

    Raises:
        ParamtoolError: for a model that is no module; where it cannot be built or the weights do not fit.
    """
    source = buildable(model)
    checkpoint = open_checkpoint(weights) if weights is not None else None
    with quick_import():
        from paramtool.models import networks
        from paramtool.network.strict_load import load

    built = networks.values(source, rng) if values else networks.structure(source)
    for text in built.notes:
        tell(text)
    for text in load(built.module, checkpoint) if checkpoint is not None else ():
        tell(text)
    return built


def refuse_weights(model: Model, weights: str | None) -> None:
    """Raise where `weights` are given for a model that is not built."""
    if weights is not None and not isinstance(model, Buildable):
        raise ParamtoolError(f"--weights loads into a spec or package.module:object; {model.name} is none")
