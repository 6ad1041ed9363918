"""Run a model forward and backward on the input that comes with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from paramtool.cli.quick_import import quick_import
from paramtool.errors import ParamtoolError
from paramtool.models.open import Buildable
from paramtool.records.gradient import Gradients, LossFunction
from paramtool.records.rule import Rule

if TYPE_CHECKING:
    from paramtool.network.construction import Network


def filled(source: Buildable, built: Network, rules: Sequence[Rule]) -> Network:
    """Fill a network that was built of `source` as `init` would."""
    with quick_import():
        from paramtool.operations.initialization.rule_application import initialize

    if rules:
        initialize(built.module, rules, seed=source.seed)
    return built


def run(
    source: Buildable,
    make: Callable[[], Network],
    *,
    loss: LossFunction | None = None,
    steps: int = 1,
    by_use: bool | None = None,
    layers: bool = False,
    training: bool | None = None,
    values: bool | None = None,
) -> Gradients:
    """Return what the passes leave; torch comes in here.

    Args:
        source: what the network is built of, with its input.
        make: builds and fills it, once it is known that it can run.
        loss: None for that of the source, else the sum.
        steps, by_use, layers, training, values: see `gradients`.

    Raises:
        ParamtoolError: where there is no forward or no input, or a pass fails.
    """
    with quick_import():
        from paramtool.models import networks
        from paramtool.network.spec_tensors import make_inputs
        from paramtool.operations.gradients.backpropagation import gradients
        from paramtool.operations.gradients.refusals import check_forward

    check_forward(networks.structure(source).module)
    if source.inputs is None:
        hint = "'input: {shape: [2, 4]}' in the spec, or --input 2,4"
        raise ParamtoolError(f"{source.name} has no input to run on", hint=hint)
    given = make_inputs(source.inputs, source.dtype, source.seed)
    return gradients(
        make().module,
        given.positional,
        given.named,
        loss=loss.value if loss else source.loss or LossFunction.sum.value,
        steps=steps,
        by_use=by_use,
        layers=layers,
        training=training,
        values=values,
        seed=source.seed,
        model=source.name,
    )
