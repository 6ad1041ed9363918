"""Initialize the parameters of a module by rules: plan, then act."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from paramtool import streams
from paramtool.errors import ParamtoolError
from paramtool.operations.planning import Step, Target, plan
from paramtool.operations.printing import printed
from paramtool.operations.statistics import statistics
from paramtool.records.initialization import (
    PLAN_COLUMNS,
    RESULT_COLUMNS,
    InitializationRow,
    InitializationTotals,
)
from paramtool.records.report import Report
from paramtool.records.rule import Rule

_MOMENTS = ("mean", "std", "min", "max")

MOST_PRINTED = 100  # elements of a tensor that is small


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
) -> Report[InitializationRow, InitializationTotals]:
    """Fill the parameters of `module` in place, as `rules` say from top to bottom.

    Every complaint comes before the first tensor is touched, those of plugins that misbehave apart.

    Args:
        module: with values; on the meta device only for a dry run.
        rules: a later rule acts on what an earlier one left.
        seed: of every stream.
        rng: ``streams`` draws each tensor from the stream of its first name; ``torch`` does what a
            loop over the rules and the parameters does after ``torch.manual_seed(seed)``.
        dry_run: plan only.
        values: add the elements of small tensors.
        digests: add the SHA-256 of each tensor.
        model: what to call the model in the report.

    Raises:
        NothingMatched: where a rule matches no parameter.
        Problems: with everything that stands against the plan.
        ParamtoolError: where a plugin raises, changes the shape or leaves elements unfilled.
    """
    targets = plan(module, rules)
    touched = [target for target in targets if target.steps]
    before = {} if dry_run else {target.name: statistics(target.tensor) for target in touched}
    if not dry_run:
        with torch.no_grad():
            if rng == "torch":
                _act_as_torch(rules, touched, seed)
            else:
                for target in touched:
                    _act(target, seed)
    rows = tuple(_row(target, before.get(target.name), values, digests) for target in touched)
    columns = PLAN_COLUMNS if dry_run else RESULT_COLUMNS
    columns += ("sha256",) if digests and not dry_run else ()
    columns += ("values",) if values and not dry_run else ()
    totals = InitializationTotals(
        tensors=len(touched),
        parameters=sum(target.tensor.numel() for target in touched),
        untouched=len(targets) - len(touched),
        seed=seed,
        rng=rng,
        torch=torch.__version__,
        rules=tuple(f"{rule.selector} {rule}" for rule in rules),
    )
    return Report("init", model or type(module).__name__, rows, totals, columns)


def _act(target: Target, seed: int) -> None:
    for step in target.steps:
        tensor = target.tensor if target.tensor.is_contiguous() else target.tensor.contiguous()
        if step.law is None:
            _fill_whole(step, tensor, target.name, streams.stream(seed, target.name))
        else:
            _fill_blocks(step, tensor, target.name, seed)
        if tensor is not target.tensor:
            target.tensor.copy_(tensor)


def _fill_blocks(step: Step, tensor: Tensor, name: str, seed: int) -> None:
    """Run a law block by block; random ones draw in float32 and cast."""
    assert step.law is not None
    buffer = torch.empty(min(streams.BLOCK, tensor.numel())) if step.law.random else None
    for number, block in streams.blocks(tensor.detach()):
        if buffer is None:
            step.law.draw(block, None)
        else:
            drawn = buffer[: block.numel()]
            step.law.draw(drawn, streams.stream(seed, name, number))
            block.copy_(drawn)


def _fill_whole(step: Step, tensor: Tensor, name: str, generator: torch.Generator) -> None:
    """Let a function fill a float32 copy that is all NaN, and look at what it did."""
    scratch = torch.full(tensor.shape, torch.nan, dtype=torch.float32)
    data = scratch.data_ptr()
    arguments = dict(step.arguments)
    if "generator" in inspect.signature(step.function).parameters:
        arguments["generator"] = generator
    with _global_stream(generator):
        try:
            step.function(scratch, **arguments)
        except Exception as error:
            message = f"{step.rule} failed on '{name}': {type(error).__name__}: {error}"
            raise ParamtoolError(message, step.rule.place) from error
    if scratch.shape != tensor.shape or scratch.data_ptr() != data or scratch.dtype != torch.float32:
        raise ParamtoolError(f"{step.rule} did not fill '{name}' in place", step.rule.place)
    unfilled = int(scratch.isnan().sum())
    if unfilled:
        message = f"{step.rule} left {unfilled:,} of {scratch.numel():,} elements of '{name}' NaN"
        raise ParamtoolError(message, step.rule.place)
    tensor.detach().copy_(scratch)


@contextmanager
def _global_stream(generator: torch.Generator) -> Iterator[None]:
    """Lend the stream to functions that draw from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield


def _act_as_torch(rules: Sequence[Rule], targets: Sequence[Target], seed: int) -> None:
    """Run every step, shadowed ones too, rule after rule, from one global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for rule in rules:
            for target in targets:
                for step in (*target.skipped, *target.steps):
                    if step.rule is rule:
                        _as_torch(step, target.tensor)


def _as_torch(step: Step, tensor: Tensor) -> None:
    function = getattr(nn.init, f"{step.rule.initializer}_", None)
    if function is not None:
        function(tensor, **step.arguments)
    elif step.law is not None:
        step.law.draw(tensor, None)
    else:
        step.function(tensor, **step.arguments)


def _row(target: Target, before: dict[str, Any] | None, values: bool, digests: bool) -> InitializationRow:
    laws = [step.law for step in target.steps if step.law]
    law = laws[0] if len(target.steps) == 1 and laws else None
    after: dict[str, Any] = statistics(target.tensor) if before is not None else {}
    moments: dict[str, Any] = {
        **{f"{key}_before": (before or {}).get(key) for key in _MOMENTS},
        **{key: after.get(key) for key in _MOMENTS},
    }
    tensor = target.tensor.detach()
    done = before is not None
    return InitializationRow(
        name=target.name,
        names=target.names,
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        numel=tensor.numel(),
        rule=", ".join(str(step.rule) for step in target.steps),
        skipped=", ".join(str(step.rule) for step in target.skipped) or None,
        note=target.note,
        expected_mean=law.mean if law else None,
        expected_std=law.std if law else None,
        sha256=_digest(tensor) if digests and done else None,
        values=printed(tensor) if values and done and tensor.numel() <= MOST_PRINTED else None,
        **moments,
    )


def _digest(tensor: Tensor) -> str:
    """Return the SHA-256 of the elements in order, as little-endian machines hold them."""
    flat = tensor.contiguous()
    return hashlib.sha256((ctypes.c_char * flat.nbytes).from_address(flat.data_ptr())).hexdigest()
