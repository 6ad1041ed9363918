"""Run a model, and leave it, its inputs and the process as they were."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from paramtool.foreign_code import foreign_code
from paramtool.operations.gradients.attributes import same_attributes, same_marks
from paramtool.operations.gradients.copy_on_write import CopyOnWrite
from paramtool.operations.gradients.refusals import failed_switch
from paramtool.tensors import streams
from paramtool.tensors.nested_values import tensors

FORWARD = ".forward"
"""Name of the stream that dropout draws from; no parameter's name begins with a dot."""


@contextmanager
def undisturbed(
    module: nn.Module, training: bool | None, seed: int, inputs: object = ()
) -> Iterator[CopyOnWrite]:
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
        stack.enter_context(_same_process(seed))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        kept = CopyOnWrite([*_all(module), *tensors(inputs)])
        stack.enter_context(same_attributes(module))
        stack.callback(kept.put_back)
        stack.enter_context(same_marks(module))
        for buffer in module.buffers():
            kept.keep(buffer)
        torch.set_rng_state(streams.stream(seed, FORWARD).get_state())
        if training is not None:
            with foreign_code(lambda error: failed_switch(error, module, training)):
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


@contextmanager
def _same_process(seed: int) -> Iterator[None]:
    """Leave the process as it is: a forward pass may draw numbers and turn torch's switches.

    torch's default generator, those of Python and NumPy, the number of threads, the default dtype and
    whether algorithms are deterministic are put back.

    What a person has compiled runs as it was written: compiled operations are seen by no mode, and the
    modes of a pass would have it compiled anew.

    Args:
        seed: of Python's and NumPy's generators in the block, as of layers that are dropped by chance.
    """
    drawn = random.getstate()
    numpy = sys.modules.get("numpy.random")
    drawn_numpy = numpy.get_state() if numpy else None
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    strict = torch.get_deterministic_debug_mode()
    random.seed(seed)
    if numpy:
        numpy.seed(seed % 2**32)
    compiled = "torch._dynamo" in sys.modules
    try:
        with (
            torch.random.fork_rng(devices=[]),
            torch.compiler.set_stance("force_eager") if compiled else nullcontext(),
        ):
            yield
    finally:
        random.setstate(drawn)
        if numpy:
            numpy.set_state(drawn_numpy)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        if torch.get_deterministic_debug_mode() != strict:
            torch.set_deterministic_debug_mode(strict)
