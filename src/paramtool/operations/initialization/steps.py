"""Run one step of a rule on one tensor: a law on a block, or a function on the whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from paramtool.errors import ParamtoolError, UserCodeFailed, told
from paramtool.foreign_code import foreign_code
from paramtool.initializers.functions.laws import Law
from paramtool.operations.rules.step import Step, offer
from paramtool.tensors import streams
from paramtool.tensors.fills import Filler
from paramtool.tensors.one_thread import one_thread
from paramtool.tensors.scratch import Scratch

_IN_PLACE = "it must fill its tensor in place"
_ONE_AT_A_TIME = threading.Lock()
_NO_BLOCK = 1 << 32
"""From here on no number is that of a block, of which no tensor has so many."""


def run_law(law: Law, block: Tensor, number: int, seed: int, name: str, scratch: Scratch) -> None:
    """Run a law on block `number`, flat, of the tensor `name`; random ones draw in float32 and cast."""
    runner(law, number, seed, name, scratch)(block, number * streams.BLOCK)


def runner(
    law: Law, number: int, seed: int, name: str, scratch: Scratch, draws: streams.Draws = streams.stream
) -> Filler:
    """Return what runs a law on block `number`: the whole of it, or part after part if it is so drawn."""
    if not law.random:
        return lambda part, first: _act(law, part, first)
    generator = draws(seed, name, number)

    def run(part: Tensor, _: int) -> None:
        drawn = scratch.draw_for(part)
        law.draw(drawn, generator)
        if drawn is not part:
            part.copy_(drawn)

    return run


def _act(law: Law, part: Tensor, first: int) -> None:
    law.draw(law.part(part, first), None)


def fill_whole(step: Step, number: int, tensor: Tensor, seed: int, name: str) -> None:
    """Let a function fill a copy, and look at what it did.

    The copy is all NaN and float32, so that what is drawn does not depend on the dtype; a function with
    the attribute ``exact`` gets the tensor's own dtype.  One whose attribute ``replaces`` is False gets
    the present values, in float32 or what is wider, so that those it leaves keep every bit.  Either may
    leave no NaN if none was before; only one that is exact may write it.  One fill runs at a time,
    for the global generator.

    Args:
        step: what to run.
        number: its place among the steps of this tensor, from 0.
        tensor: contiguous.
        seed, name: what decides the stream.

    Raises:
        ParamtoolError: if the function raises, or does not fill in place, or leaves NaN.
    """
    # the stream of the present values would give a noise that is these values once more
    generator = streams.stream(seed, name, 0 if step.replaces else _NO_BLOCK + number)
    exact = getattr(step.function, "exact", False)
    scratch = _copy_for(step, tensor, exact)
    known = None if step.replaces or exact else scratch.isnan()
    data, dtype = scratch.data_ptr(), scratch.dtype
    arguments = offer(step.function, step.arguments, generator=generator, parameter=name)
    with _ONE_AT_A_TIME, _global_stream(generator), one_thread(), failures(step, name):
        returned = step.function(scratch, **arguments)
    if scratch.shape != tensor.shape or scratch.data_ptr() != data or scratch.dtype != dtype:
        raise ParamtoolError(f"{step.rule} did not fill '{name}' in place", step.rule.place)
    is_another = isinstance(returned, Tensor) and returned is not scratch and returned.shape == tensor.shape
    if is_another and not step.replaces and torch.equal(scratch, _copy_for(step, tensor, exact)):
        message = f"{step.rule} returned a new tensor and left '{name}' as it was"
        raise ParamtoolError(message, step.rule.place, _IN_PLACE)
    if not exact:
        _refuse_nan(step, scratch, known, name)
    tensor.detach().copy_(scratch)


def _copy_for(step: Step, tensor: Tensor, exact: bool) -> Tensor:
    """Return what a function is to fill: NaN, or the present values."""
    narrow = tensor.is_floating_point() and tensor.dtype.itemsize < torch.float32.itemsize
    if step.replaces:
        return torch.full(tensor.shape, torch.nan, dtype=tensor.dtype if exact else torch.float32)
    dtype = torch.float32 if narrow and not exact else tensor.dtype
    return torch.empty(tensor.shape, dtype=dtype).copy_(tensor.detach())


def _refuse_nan(step: Step, filled: Tensor, known: Tensor | None, name: str) -> None:
    """Refuse what a function has left, or made, NaN; `known` are those that were so before.

    Raises:
        ParamtoolError: with how many there are.
    """
    found = filled.isnan() if known is None else filled.isnan() & ~known
    count = int(found.sum())
    if not count:
        return
    done = "left" if step.replaces else "made"
    message = f"{step.rule} {done} {count:,} of {filled.numel():,} elements of '{name}' NaN"
    nothing = step.replaces and count == filled.numel()
    raise ParamtoolError(message, step.rule.place, _IN_PLACE if nothing else None)


@contextmanager
def failures(step: Step, name: str) -> Iterator[None]:
    """Turn what a function raises into an error of the rule that named it."""
    what = f"{step.rule} failed on '{name}'"
    with foreign_code(lambda error: UserCodeFailed(f"{what}: {told(error)}", step.rule.place)):
        try:
            yield
        except ParamtoolError as error:
            raise ParamtoolError(f"{what}: {error.message}", step.rule.place, error.hint) from error


@contextmanager
def _global_stream(generator: torch.Generator) -> Iterator[None]:
    """Lend the stream to functions that draw from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
