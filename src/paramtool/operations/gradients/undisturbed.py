"""Run a model and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from paramtool.operations.gradients.attributes import same_attributes, same_marks
from paramtool.operations.gradients.kept import Kept
from paramtool.operations.gradients.surroundings import same_surroundings
from paramtool.operations.gradients.writes import tensors
from paramtool.tensors import streams

FORWARD = ".forward"
"""Name of the stream that dropout draws from; no parameter's name begins with a dot."""


@contextmanager
def undisturbed(module: nn.Module, training: bool | None, seed: int, inputs: object = ()) -> Iterator[Kept]:
    """Run the block with no gradients yet, in the mode given, under a random stream of its own.

    Afterwards everything is as before: values, gradients, hooks and flags of parameters and buffers,
    attributes of modules, values of the inputs, and what the process has (random generators, threads,
    defaults).  Buffers are copied first, since torch moves the statistics of a batch norm without
    counting a version.  Parameters, which are most of a model, are copied only where an operation is
    about to write them while what this yields is entered as a mode: an embedding's ``max_norm``,
    ``weight.data.clamp_()``, an optimizer's step in a hook.

    What cannot be put back: memory that code outside torch writes through a pointer it got before; a
    write inside a scripted function through ``.data``; what a model changes in objects that are neither
    modules, tensors, nor a list, dictionary or set that a module holds; files, and other processes.

    Args:
        module: the model.
        training: the mode; None leaves each module in its own.
        seed: of the stream.
        inputs: what it is called with.
    """
    with ExitStack() as stack:
        stack.enter_context(same_surroundings(seed))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        kept = Kept([*_all(module), *tensors(inputs)])
        stack.enter_context(same_attributes(module))
        stack.callback(kept.put_back)
        stack.enter_context(same_marks(module))
        for buffer in module.buffers():
            kept.keep(buffer)
        torch.set_rng_state(streams.stream(seed, FORWARD).get_state())
        if training is not None:
            module.train(training)
        yield kept


def _all(module: nn.Module) -> Iterable[Tensor]:
    """Yield the tensors that modules hold, as parameters, buffers and plain attributes."""
    yield from module.parameters()  # a scripted module has them in no attribute
    yield from module.buffers()
    for each in module.modules():
        for value in vars(each).values():
            members = value.values() if isinstance(value, dict) else value
            inside = members if isinstance(value, (dict, list, tuple, set)) else (value,)
            yield from (one for one in inside if isinstance(one, Tensor))
