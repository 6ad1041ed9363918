"""Initialize the parameters of a module by rules: plan, then act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.elements.digests import digest
from paramtool.elements.tensor_text import printed_elements
from paramtool.errors import ParamtoolError
from paramtool.operations.initialization.execution import act, fill_target
from paramtool.operations.initialization.rule_plan import plan
from paramtool.operations.initialization.targets import LiveTarget
from paramtool.operations.rules.rows import MOMENTS, plan_row, totals_of
from paramtool.operations.rules.step import Step
from paramtool.records.initialization import (
    PLAN_COLUMNS,
    RESULT_COLUMNS,
    Initialization,
    InitializationRow,
)
from paramtool.records.parameter import MOST_PRINTED, Printed
from paramtool.records.report import Report
from paramtool.records.rule import Rule
from paramtool.tensors.fsdp import reshard
from paramtool.tensors.kinds import is_strided, lack_of_values
from paramtool.tensors.memory import digest as digest_of
from paramtool.tensors.named_tensors import module_types
from paramtool.tensors.printed import printed
from paramtool.tensors.process_group import raised_in_all
from paramtool.tensors.sharded_elements import ShardedElements
from paramtool.tensors.sharded_statistics import sharded_statistics
from paramtool.tensors.sharding import held_part, is_sharded
from paramtool.tensors.statistics import statistics


def initialize(
    module: nn.Module,
    rules: Sequence[Rule],
    *,
    seed: int = 0,
    rng: str = "streams",
    dry_run: bool = False,
    values: bool = False,
    digests: bool = False,
    model: str | None = None,
    rng_state: Tensor | None = None,
) -> Initialization:
    """Fill the parameters of `module` in place, as `rules` say from top to bottom.

    Every complaint comes before the first tensor is touched, those of plugins that misbehave apart.
    A parametrized tensor is assigned through its module, so that the forward uses what was asked for.

    Example:
        >>> rule = Rule("normal", {"std": 0.01}, pattern="weight")
        >>> initialize(nn.Linear(4, 3), [rule]).rows[0].expected_std
        0.01

    Args:
        module: any module with values; on the meta device only for a dry run.
        rules: a later rule acts on what an earlier one left.
        seed: of every stream.
        rng: ``streams`` draws each tensor from the stream of its first name; ``torch`` does what a
            loop over the rules and the parameters does after ``torch.manual_seed(seed)``.
        dry_run: plan only.
        values: add the elements of small tensors.
        digests: add the SHA-256 of each tensor.
        model: what to call the model in the report.
        rng_state: what ``torch`` goes on from in place of ``manual_seed``: where constructors left off.

    Raises:
        RuleMatchedNothing: if a rule matches no parameter.
        Problems: with everything that stands against the plan.
        ParamtoolError: if there are no values to change, or a plugin raises, changes the shape or
            leaves elements unfilled.
    """
    reshard(module)
    targets, touched = _rehearsed(module, rules, seed, rng, dry_run)
    before = {} if dry_run else _statistics({target.name: target.tensor for target in touched})
    if not dry_run:
        with torch.no_grad():
            act(rules, touched, seed, rng, rng_state)
    after = {} if dry_run else _statistics({target.name: _current(target) for target in touched})
    rows = tuple(
        _row(target, before.get(target.name), after.get(target.name), values, digests) for target in touched
    )
    columns = PLAN_COLUMNS if dry_run else RESULT_COLUMNS
    columns += ("sha256",) if digests and not dry_run else ()
    columns += ("values",) if values and not dry_run else ()
    totals = totals_of(touched, len(targets), rules, seed, rng, str(torch.__version__))
    return Report("init", model or type(module).__name__, rows, totals, columns, module_types(module))


def _rehearsed(
    module: nn.Module, rules: Sequence[Rule], seed: int, rng: str, dry_run: bool
) -> tuple[list[LiveTarget], list[LiveTarget]]:
    """Return the targets and those that rules touch, after every complaint that there is.

    Raises:
        ParamtoolError: of a sharded module in every process alike.
    """
    is_spread = any(is_sharded(parameter) for parameter in module.parameters())
    with raised_in_all(is_spread):
        targets = plan(module, rules)
        touched = [target for target in targets if target.is_touched]
        with torch.no_grad():
            for target in touched:
                if target.steps:
                    _rehearse(target, seed, rng, dry_run)
    return targets, touched


def _statistics(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Return the statistics by name; of sharded tensors those of the whole."""
    spread = {name: tensor for name, tensor in tensors.items() if is_sharded(tensor)}
    found = {name: statistics(tensor) for name, tensor in tensors.items() if name not in spread}
    return {**found, **sharded_statistics(spread)} if spread else found


def _current(target: LiveTarget) -> Tensor:
    return target.effective.current() if target.effective else target.tensor.detach()


def _rehearse(target: LiveTarget, seed: int, rng: str, dry_run: bool) -> None:
    """Refuse what has no values, what torch lacks for a dtype, and what a parametrization cannot represent.

    Raises:
        ParamtoolError: naming the tensor and the rule.
    """
    rule = target.steps[-1].rule
    try:
        if rng == "torch":
            for step in (*target.skipped, *target.steps):
                rule = step.rule
                _try_torch(step, target)
        if is_sharded(target.tensor):
            _rehearse_sharded(target, rng, dry_run)
            return
        if not is_strided(target.tensor) and not is_lazy(target.tensor):
            raise ValueError(f"it {lack_of_values(target.tensor) or 'is sparse, which no rule fills'}")
        lack = lack_of_values(target.tensor)
        if lack:
            if not dry_run:
                raise ValueError(f"it {lack}")
        elif target.effective is not None:
            value = target.tensor.clone()
            fill_target(target, value, seed)
            target.effective.rehearse(value)
    except (ValueError, NotImplementedError) as error:
        raise ParamtoolError(f"{rule} cannot fill '{target.name}': {error}", rule.place) from error


def _rehearse_sharded(target: LiveTarget, rng: str, dry_run: bool) -> None:
    """Raise a ValueError for what cannot be filled part by part."""
    if rng == "torch":
        raise ValueError("it is sharded, and torch's own draws depend on how")
    if target.effective is not None:
        raise ValueError("it is sharded and parametrized; initialize it before it is sharded")
    part = held_part(target.tensor)
    lack = lack_of_values(part.local)
    if lack and not dry_run:
        raise ValueError(f"it {lack}")


def _try_torch(step: Step, target: LiveTarget) -> None:
    """Let torch's own function refuse the dtype: of ours, it draws in float32 and casts."""
    function = getattr(nn.init, f"{step.rule.initializer}_", None)
    if function is None or target.effective is not None:
        return
    small = torch.zeros([min(size, 2) for size in target.tensor.shape], dtype=target.tensor.dtype)
    with torch.random.fork_rng(devices=[]), suppress(ValueError):  # of a shape that is only this one's
        function(small, **step.arguments)


def _row(
    target: LiveTarget,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    values: bool,
    digests: bool,
) -> InitializationRow:
    if before is None or after is None:
        return plan_row(target)
    tensor = _current(target)
    is_small = values and tensor.numel() <= MOST_PRINTED
    moments: dict[str, Any] = {f"{key}_before": before.get(key) for key in MOMENTS}
    return replace(
        plan_row(target, after),
        **moments,
        histogram_before=before.get("histogram"),
        sha256=_digest(tensor) if digests else None,
        values=_printed(tensor) if is_small else None,
    )


def _digest(tensor: Tensor) -> str:
    """Return the SHA-256 of all elements; of those of a sharded tensor in every process."""
    return digest(ShardedElements({"": tensor}).blocks("")) if is_sharded(tensor) else digest_of(tensor)


def _printed(tensor: Tensor) -> Printed:
    return printed_elements(ShardedElements({"": tensor}), "") if is_sharded(tensor) else printed(tensor)
