"""Initialize the parameters of a module by rules: plan, then act."""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from paramtool import streams
from paramtool.errors import ParamtoolError
from paramtool.files.weights import WeightsWriter
from paramtool.named_tensors import dtype_name
from paramtool.operations.planning import Step, Target, offer, plan
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

_ONE_AT_A_TIME = threading.Lock()

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
    totals = totals_of(touched, len(targets), rules, seed, rng)
    return Report("init", model or type(module).__name__, rows, totals, columns)


def _act(target: Target, seed: int) -> None:
    for step in target.steps:
        tensor = target.tensor if target.tensor.is_contiguous() else target.tensor.contiguous()
        if step.law is None:
            fill_whole(step, tensor, target.name, streams.stream(seed, target.name))
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


def fill_whole(step: Step, tensor: Tensor, name: str, generator: torch.Generator) -> None:
    """Let a function fill a copy that is all NaN, and look at what it did.

    The copy is float32, so that what is drawn does not depend on the dtype; a function with the
    attribute ``exact`` gets the tensor's own dtype.  One fill runs at a time, for the global generator.
    """
    exact = getattr(step.function, "exact", False)
    dtype = tensor.dtype if exact else torch.float32
    scratch = torch.full(tensor.shape, torch.nan, dtype=dtype)
    data = scratch.data_ptr()
    arguments = offer(step.function, step.arguments, generator=generator, parameter=name)
    with _ONE_AT_A_TIME, _global_stream(generator), one_thread(), _failures(step, name):
        step.function(scratch, **arguments)
    if scratch.shape != tensor.shape or scratch.data_ptr() != data or scratch.dtype != dtype:
        raise ParamtoolError(f"{step.rule} did not fill '{name}' in place", step.rule.place)
    unfilled = int(scratch.isnan().sum())
    if unfilled and not exact:
        message = f"{step.rule} left {unfilled:,} of {scratch.numel():,} elements of '{name}' NaN"
        raise ParamtoolError(message, step.rule.place)
    tensor.detach().copy_(scratch)


@contextmanager
def _failures(step: Step, name: str) -> Iterator[None]:
    """Tell what a function raises as an error of the rule that named it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        message = f"{step.rule} failed on '{name}': {type(error).__name__}: {error}"
        raise ParamtoolError(message, step.rule.place) from error


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: `orthogonal_` rounds differently on several, and savers have their own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
        waiting = [(target, deque((*target.skipped, *target.steps))) for target in targets]
        for rule in rules:
            for target, steps in waiting:
                if steps and steps[0].rule is rule:
                    _as_torch(steps.popleft(), target)


def _as_torch(step: Step, target: Target) -> None:
    function = getattr(nn.init, f"{step.rule.initializer}_", None)
    if function is None and step.law is not None:
        step.law.draw(target.tensor, None)
        return
    arguments = dict(step.arguments)
    if function is None:
        arguments = offer(step.function, arguments, generator=torch.default_generator, parameter=target.name)
    tensor = target.tensor.detach()  # the same elements, in a shape that can be looked at
    with _failures(step, target.name):
        (function or step.function)(tensor, **arguments)
    if tensor.shape != target.tensor.shape or tensor.data_ptr() != target.tensor.data_ptr():
        raise ParamtoolError(f"{step.rule} did not fill '{target.name}' in place", step.rule.place)


def totals_of(
    touched: Sequence[Target],
    tensors: int,
    rules: Sequence[Rule],
    seed: int,
    rng: str,
    writer: WeightsWriter | None = None,
) -> InitializationTotals:
    """Return the totals, and with a writer what was written."""
    return InitializationTotals(
        tensors=len(touched),
        parameters=sum(target.tensor.numel() for target in touched),
        untouched=tensors - len(touched),
        seed=seed,
        rng=rng,
        torch=torch.__version__,
        rules=tuple(f"{rule.selector} {rule}" for rule in rules),
        files=tuple(str(each) for each in writer.files) if writer else (),
        nbytes=writer.total_size if writer else None,
    )


def plan_row(target: Target, after: Mapping[str, Any] | None = None) -> InitializationRow:
    """Return the row of a target: what the rules do to it, and the statistics of the result."""
    law = target.steps[0].law if len(target.steps) == 1 else None
    tensor = target.tensor
    moments: dict[str, Any] = {key: (after or {}).get(key) for key in _MOMENTS}
    return InitializationRow(
        name=target.name,
        names=target.names,
        shape=tuple(tensor.shape),
        dtype=dtype_name(tensor),
        numel=tensor.numel(),
        rule=", ".join(str(step.rule) for step in target.steps),
        skipped=", ".join(str(step.rule) for step in target.skipped) or None,
        note=target.note,
        expected_mean=law.mean if law else None,
        expected_std=law.std if law else None,
        **moments,
    )


def _row(target: Target, before: Mapping[str, Any] | None, values: bool, digests: bool) -> InitializationRow:
    if before is None:
        return plan_row(target)
    tensor = target.tensor.detach()
    moments: dict[str, Any] = {f"{key}_before": before.get(key) for key in _MOMENTS}
    return replace(
        plan_row(target, statistics(tensor)),
        **moments,
        sha256=_digest(tensor) if digests else None,
        values=printed(tensor) if values and tensor.numel() <= MOST_PRINTED else None,
    )


def _digest(tensor: Tensor) -> str:
    """Return the SHA-256 of the elements in order, as little-endian machines hold them."""
    flat = tensor.contiguous()
    return hashlib.sha256((ctypes.c_char * flat.nbytes).from_address(flat.data_ptr())).hexdigest()
