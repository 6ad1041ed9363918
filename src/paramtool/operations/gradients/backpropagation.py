"""Run forward and backward, and report the gradient that reached each parameter, and by which use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn, strided

from paramtool.errors import ParamtoolError
from paramtool.network.nesting import check_nesting, room_for
from paramtool.operations.gradients.attributes import is_hooked
from paramtool.operations.gradients.copy_on_write import CopyOnWrite
from paramtool.operations.gradients.isolation import undisturbed
from paramtool.operations.gradients.layers import CAPTION
from paramtool.operations.gradients.parameter_rows import NamedParameter, gradient_rows
from paramtool.operations.gradients.passes import Loss, Passes
from paramtool.operations.gradients.refusals import check_lazy
from paramtool.operations.gradients.sensitivity import judged
from paramtool.operations.gradients.sharded_rows import UNSPLIT, check_options, sharded_rows
from paramtool.operations.gradients.splits import REST
from paramtool.operations.gradients.targets import Target
from paramtool.records.gradient import (
    ALL_COLUMNS,
    LAYER_COLUMNS,
    PARAMETER_COLUMNS,
    VERDICTS,
    GradientRow,
    Gradients,
    GradientTotals,
)
from paramtool.records.parameter import MOST_INLINE, MOST_PRINTED
from paramtool.records.report import Part, Report
from paramtool.tensors.fsdp import reshard, resharded
from paramtool.tensors.kinds import is_strided
from paramtool.tensors.named_tensors import by_tensor, class_of, module_types, named_tensors
from paramtool.tensors.process_group import raised_in_all
from paramtool.tensors.sharding import has_sharded, lack_of_part


def gradients(
    module: nn.Module,
    inputs: Sequence[Any] = (),
    named: Mapping[str, Any] | None = None,
    *,
    loss: Loss = "sum",
    target: Target = None,
    steps: int = 1,
    by_use: bool | None = None,
    layers: bool = False,
    training: bool | None = None,
    values: bool | None = None,
    seed: int = 0,
    model: str | None = None,
) -> Gradients:
    """Return the gradient that `steps` forward and backward passes add up on each parameter.

    The module is left as it was, and so are the inputs and the process; see
    `paramtool.operations.gradients.isolation.undisturbed` for what that means, and what is beyond it.

    Example:
        >>> import torch
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> _ = nn.init.constant_(layer.weight, 3)
        >>> report = gradients(nn.Sequential(layer, layer), [torch.ones(1, 1)])
        >>> [(row.kind, row.module, row.norm) for row in report.rows]
        [('parameter', None, 6.0), ('use', '0', 3.0), ('use', '1', 3.0)]

    Args:
        module: any module with values.
        inputs, named: what it is called with.
        loss: ``sum``, ``mean``, ``square`` or ``projection`` of every output that requires grad;
            ``cross_entropy`` or another that compares the first of them with a target (see
            `paramtool.operations.gradients.losses`); or a function of what the module returns.
        target: what the loss compares the output with, or a function that makes it from its shape; None
            to draw it from the seed.
        steps: passes, without zeroing in between.
        by_use: add a row for each use of each parameter; None for those with several uses; False runs
            the passes without looking at uses at all.
        layers: add a row for each call of a module, with the std of its output and of the gradient there.
        training: the mode; None leaves every module in its own.
        values: add the elements of gradients of at most 100; None if all gradients together are so
            few.  At most 4 are added always.
        seed: of the projection's direction, of a target that is drawn, and of dropout.
        model: what to call the model in the report.

    Of a sharded module, all processes call it, with the same inputs or each with its own part of a batch.
    Its gradients are not split by use; see `sharded_rows`.

    Raises:
        ParamtoolError: if there is nothing to run or to differentiate, or a pass fails.
        Bug: if the uses of a parameter do not add up to its gradient.
    """
    reshard(module)
    parameters = _parameters(module)
    is_spread = has_sharded(module)
    levels = _checked(module, parameters, by_use, layers, is_spread)
    splits = by_use is not False and not is_spread
    passes = Passes(module, tuple(inputs), dict(named or {}), loss, seed, splits, layers, target)
    with room_for(levels), undisturbed(module, training, seed, (inputs, named)) as kept:
        is_training = module.training
        with resharded(module):
            passes.run([each.parameter for each in parameters], steps, kept)
        passes.notes.extend(_lost(parameters, kept))
        if values is None:
            values = sum(each.parameter.numel() for each in parameters) <= MOST_PRINTED
        most = MOST_PRINTED if values else MOST_INLINE
        rows = _rows(parameters, passes, by_use, most, is_spread)
    rows = judged(rows, passes.output_gradients.sum, vanishes=not passes.is_degenerate)
    totals = _totals(parameters, rows, passes, steps, is_training)
    shown = (
        PARAMETER_COLUMNS
        if not totals.frozen
        else (*PARAMETER_COLUMNS[:3], "requires_grad", *PARAMETER_COLUMNS[3:])
    )
    parts, columns = [Part(("parameter", "use"), shown)], ALL_COLUMNS
    if passes.layers:
        rows.extend(passes.layers.rows())
        parts.append(Part(("module",), LAYER_COLUMNS, CAPTION))
        columns += ("type", "output_std", "gradient_std")
    modules, name = module_types(module), model or class_of(module).__name__
    return Report("grad", name, tuple(rows), totals, columns, modules, tuple(parts))


def _rows(
    parameters: Sequence[NamedParameter], passes: Passes, by_use: bool | None, most: int, is_spread: bool
) -> list[GradientRow]:
    if not is_spread:
        return [row for each in parameters for row in gradient_rows(each, passes.splits, by_use, most)]
    passes.agree()
    if by_use is None:
        passes.notes.append(UNSPLIT)
    return sharded_rows(parameters, most)


def _checked(
    module: nn.Module,
    parameters: Sequence[NamedParameter],
    by_use: bool | None,
    layers: bool,
    is_spread: bool,
) -> int:
    """Return how deep modules nest, after every complaint that there is before a pass.

    Raises:
        ParamtoolError: of a sharded module in every process alike.
    """
    with raised_in_all(is_spread):
        levels = check_nesting(module)
        if is_spread:
            check_options(by_use, layers)
        _check(parameters)
    return levels


def _parameters(module: nn.Module) -> list[NamedParameter]:
    parameters = by_tensor(each for each in named_tensors(module) if each.kind == "parameter")
    return [
        NamedParameter(tuple(each.name for each in group), group[0].tensor)  # type: ignore[arg-type]
        for group in parameters
    ]


def _check(parameters: Sequence[NamedParameter]) -> None:
    for each in parameters:
        check_lazy(each.names[0], each.parameter)
        lack = lack_of_part(each.parameter) if each.parameter.layout is strided else None
        if lack and (each.parameter.requires_grad or is_strided(each.parameter)):
            raise ParamtoolError(f"'{each.names[0]}' {lack}")
    if not any(each.parameter.requires_grad for each in parameters):
        hint = "'freeze' freezes them all" if parameters else None
        raise ParamtoolError("there is no parameter that requires grad", hint=hint)


def _totals(
    parameters: Sequence[NamedParameter],
    rows: Sequence[GradientRow],
    passes: Passes,
    steps: int,
    training: bool,
) -> GradientTotals:
    learned = [row for row in rows if row.kind == "parameter" and row.requires_grad]
    found = Counter(row.verdict for row in learned)
    counted = passes.splits is not None
    return GradientTotals(
        loss=passes.value,
        loss_text=passes.text,
        loss_function=passes.loss_name,
        outputs=passes.outputs,
        steps=steps,
        training=training,
        seed=passes.seed,
        names=sum(len(each.names) for each in parameters),
        tensors=len(parameters),
        parameters=sum(each.parameter.numel() for each in parameters),
        frozen=len(parameters) - len(learned),
        verdicts={verdict: found[verdict] for verdict in VERDICTS},
        uses=sum(row.uses or 0 for row in learned) if counted else None,
        residual=passes.splits.residual if passes.splits is not None else None,
        notes=tuple(dict.fromkeys([*passes.notes, *_rest(rows), *_hooks(parameters)])),
    )


def _lost(parameters: Sequence[NamedParameter], kept: CopyOnWrite) -> list[str]:
    return [
        f"'{each.names[0]}' was changed by an operation that was not seen, and cannot be restored"
        for each in parameters
        if kept.is_lost(each.parameter)
    ]


def _rest(rows: Sequence[GradientRow]) -> list[str]:
    return [
        f"the model's own code changed gradients; the row '{REST}' is its effect on '{row.name}'"
        for row in rows
        if row.kind == "use" and row.operation == REST
    ]


def _hooks(parameters: Sequence[NamedParameter]) -> list[str]:
    return [
        f"'{each.names[0]}' has a hook that may change its gradient: its uses add up to what reached the hook"
        for each in parameters
        if is_hooked(each.parameter)
    ]
