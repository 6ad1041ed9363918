"""Run the steps of a plan on live tensors, in the order that the rules and their memory ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.operations.initialization.sharded_fill import fill_held
from paramtool.operations.initialization.steps import failures, fill_whole, run_law
from paramtool.operations.initialization.targets import LiveTarget
from paramtool.operations.rules.shared_memory import is_shared
from paramtool.operations.rules.step import Step, offer
from paramtool.records.rule import Rule
from paramtool.tensors import streams
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.sharding import is_sharded


def act(
    rules: Sequence[Rule], targets: Sequence[LiveTarget], seed: int, rng: str, rng_state: Tensor | None
) -> None:
    """Fill `targets`: one after the other, but rule by rule where they share memory.

    Args:
        rules: all of them.
        targets: what they touch.
        seed, rng: what the values depend on.
        rng_state: what ``torch`` goes on from; None to begin with the seed.
    """
    by_name = {target.name: target for target in targets}
    filled = [target for target in targets if target.steps]
    shared = [target for target in filled if is_shared(target, by_name)]
    alone = [target for target in filled if not is_shared(target, by_name)]
    if rng == "torch":
        _act_as_torch(rules, filled, {each.name for each in shared}, seed, rng_state)
    else:
        for target in alone:
            fill_target(target, target.tensor, seed)
        for position in range(len(rules)):
            for target in shared:
                _fill_in_turn(target, position, seed)
    for target in alone:
        if target.effective is not None:
            target.effective.assign(target.tensor.clone())


def _fill_in_turn(target: LiveTarget, position: int, seed: int) -> None:
    """Run the step of one rule on a target that others change between its steps."""
    for number, step in enumerate(target.steps):
        if step.position == position:
            with _assigned(target), _contiguous(target.tensor) as tensor:
                _run(step, number, tensor, target.name, seed)


@contextmanager
def _assigned(target: LiveTarget) -> Iterator[None]:
    """Take what is computed as it is now, and assign it afterwards."""
    if target.effective is None:
        yield
        return
    target.tensor.copy_(target.effective.current())
    yield
    target.effective.assign(target.tensor.clone())


def fill_target(target: LiveTarget, result: Tensor, seed: int) -> None:
    """Run the steps of a target on `result`, from the streams of its name."""
    if is_sharded(result):
        fill_held(target.steps, result, seed, target.name)
        return
    with _contiguous(result) as tensor:
        for number, step in enumerate(target.steps):
            _run(step, number, tensor, target.name, seed)


def _run(step: Step, number: int, tensor: Tensor, name: str, seed: int) -> None:
    if step.law is None:
        fill_whole(step, number, tensor, seed, name)
    else:
        _fill_blocks(step, tensor, name, seed)


@contextmanager
def _contiguous(tensor: Tensor) -> Iterator[Tensor]:
    """Give a tensor, or a copy that becomes it, whose elements lie in row-major order."""
    whole = tensor if tensor.is_contiguous() else tensor.contiguous()
    yield whole
    if whole is not tensor:
        tensor.copy_(whole)


def _fill_blocks(step: Step, tensor: Tensor, name: str, seed: int) -> None:
    """Run a law block by block."""
    assert step.law is not None
    scratch = Scratch()
    for number, block in streams.blocks(tensor.detach()):
        run_law(step.law, block, number, seed, name, scratch)


def _act_as_torch(
    rules: Sequence[Rule],
    targets: Sequence[LiveTarget],
    shared: Collection[str],
    seed: int,
    rng_state: Tensor | None,
) -> None:
    """Run every step, shadowed ones too, rule after rule, from one global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if rng_state is not None:
            torch.set_rng_state(rng_state)
        waiting = [(target, deque((*target.skipped, *target.steps))) for target in targets]
        for rule in rules:
            for target, steps in waiting:
                if steps and steps[0].rule is rule:
                    with _assigned(target) if target.name in shared else nullcontext():
                        _as_torch(steps.popleft(), target)


def _as_torch(step: Step, target: LiveTarget) -> None:
    function = getattr(nn.init, f"{step.rule.initializer}_", None)
    if function is None and step.law is not None:
        with _contiguous(target.tensor.detach()) as whole:
            step.law.draw(step.law.part(whole.view(-1)), None)
        return
    arguments = dict(step.arguments)
    if function is None:
        arguments = offer(step.function, arguments, generator=torch.default_generator, parameter=target.name)
    tensor = target.tensor.detach()  # the same elements, in a shape that can be looked at
    with failures(step, target.name):
        (function or step.function)(tensor, **arguments)
    if tensor.shape != target.tensor.shape or tensor.data_ptr() != target.tensor.data_ptr():
        raise ParamtoolError(f"{step.rule} did not fill '{target.name}' in place", step.rule.place)
