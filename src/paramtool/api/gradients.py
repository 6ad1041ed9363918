"""Run forward and backward: ``paramtool grad``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paramtool.api.arguments import check_flags, check_named, check_seed
from paramtool.api.open import live
from paramtool.errors import BadArgument
from paramtool.models.given import Openable
from paramtool.records.gradient import Gradients, LossFunction
from paramtool.suggestion import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from paramtool.language.tree import TensorNode

    Target = Tensor | TensorNode | Callable[[tuple[int, ...]], Tensor] | None


def gradients(
    model: Openable,
    inputs: Sequence[Any] | None = None,
    named: Mapping[str, Any] | None = None,
    *,
    loss: str | Callable[[Any], Tensor] | None = None,
    target: Target = None,
    steps: int = 1,
    by_use: bool | None = None,
    layers: bool = False,
    training: bool | None = None,
    values: bool | None = None,
    seed: int | None = None,
    name: str | None = None,
) -> Gradients:
    """Return the gradient that `steps` forward and backward passes add up on each parameter.

    The module, the inputs and the process are left as they were.  Of a module with DTensors every process
    calls this, and gets the same rows, which are not split by use.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.constant_(layer.weight, 3)
        >>> report = gradients(torch.nn.Sequential(layer, layer), [torch.ones(1, 1)])
        >>> [(row.kind, row.module, row.norm) for row in report]
        [('parameter', None, 6.0), ('use', '0', 3.0), ('use', '1', 3.0)]

    Args:
        model: a spec, ``package.module:object``, a module or an open model.
        inputs, named: what it is called with; left out, the input that comes with the model.
        loss: ``sum``, ``mean``, ``square`` or ``projection`` of every output that requires grad;
            ``cross_entropy``, ``nll``, ``mse``, ``l1``, ``smooth_l1`` or ``bce_with_logits`` of the first
            of them and the target; or a function of what the module returns.  None for that of the
            model, else ``sum``.
        target: what the loss compares the output with, or a function that makes it from its shape; None
            to draw it from the seed.
        steps: passes, without zeroing in between; 1 or more.
        by_use: add a row for each use of each parameter; None for those with several uses.
        layers: add a row for each call of a module, with the std of its output and of the gradient there.
        training: the mode; None leaves every module in its own.
        values: add the elements of small gradients; None if all gradients together are small.
        seed: of the projection's direction, of dropout and of the model's own input; None for the model's.
        name: what to call the model in the report.

    Raises:
        BadArgument: for an unknown loss, fewer steps than one, or a state_dict in place of a module.
        CannotAnswer: for a model that is not, and does not become, a module.
        UserCodeFailed: if the forward, the loss or the backward raises.
        ParamtoolError: if there is nothing to run or to differentiate.
        Bug: if the uses of a parameter do not add up to its gradient.
    """
    check_named("named", named)
    check_seed(seed)
    check_flags(by_use=by_use, layers=layers, training=training, values=values)
    if not (loss is None or isinstance(loss, str) or callable(loss)):
        raise BadArgument(f"loss must be a name or a function, got {type(loss).__name__}")
    known = [each.value for each in LossFunction]
    if isinstance(loss, str) and loss not in known:
        hint = suggest(loss, known, f"use one of {', '.join(known)}")
        raise BadArgument(f"unknown loss '{loss}'", hint=hint)
    if type(steps) is not int or steps < 1:
        raise BadArgument(f"steps must be an int of 1 or more, got {steps!r}")
    if inputs is not None and not isinstance(inputs, (list, tuple)):
        raise BadArgument(f"inputs is a list or tuple, got {type(inputs).__name__}", hint="e.g. [x]")
    found = live(model, name)
    options: dict[str, Any] = {
        "loss": loss, "target": target, "steps": steps, "by_use": by_use, "layers": layers,
        "training": training, "values": values,
    }  # fmt: skip
    if inputs is None and not named:
        return (found if seed is None else found.with_seed(seed)).gradients(**options)
    from paramtool.operations.gradients.backpropagation import gradients as run

    options["loss"] = loss or found.loss or LossFunction.sum.value
    module = found.network().module
    return run(
        module, tuple(inputs or ()), dict(named or {}), **options, model=found.name,
        seed=found.seed if seed is None else seed,
    )  # fmt: skip
