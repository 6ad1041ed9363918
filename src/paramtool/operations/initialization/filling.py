"""Fill one tensor by one step: a law block by block, or a function that sees the whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from paramtool import streams
from paramtool.errors import ParamtoolError, told
from paramtool.initializers.laws import Law
from paramtool.operations.elements.one_thread import one_thread
from paramtool.operations.initialization.planning import offer
from paramtool.operations.initialization.targets import Step
from paramtool.scratch import Scratch

_ONE_AT_A_TIME = threading.Lock()


def run_law(law: Law, block: Tensor, number: int, seed: int, name: str, scratch: Scratch) -> None:
    """Run a law on block `number`, flat, of the tensor `name`; random ones draw in float32 and cast."""
    if not law.random:
        law.draw(block, None)
        return
    drawn = scratch.draw_for(block)
    law.draw(drawn, streams.stream(seed, name, number))
    if drawn is not block:
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
    with _ONE_AT_A_TIME, _global_stream(generator), one_thread(), failures(step, name):
        step.function(scratch, **arguments)
    if scratch.shape != tensor.shape or scratch.data_ptr() != data or scratch.dtype != dtype:
        raise ParamtoolError(f"{step.rule} did not fill '{name}' in place", step.rule.place)
    unfilled = int(scratch.isnan().sum())
    if unfilled and not exact:
        message = f"{step.rule} left {unfilled:,} of {scratch.numel():,} elements of '{name}' NaN"
        nothing = unfilled == scratch.numel()
        raise ParamtoolError(
            message, step.rule.place, "it is to fill its tensor in place" if nothing else None
        )
    tensor.detach().copy_(scratch)


@contextmanager
def failures(step: Step, name: str) -> Iterator[None]:
    """Tell what a function raises as an error of the rule that named it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        message = f"{step.rule} failed on '{name}': {told(error)}"
        raise ParamtoolError(message, step.rule.place) from error


@contextmanager
def _global_stream(generator: torch.Generator) -> Iterator[None]:
    """Lend the stream to functions that draw from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
