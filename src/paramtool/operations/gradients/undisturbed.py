"""Run a model and leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from paramtool import streams

FORWARD = ".forward"
"""Name of the stream that dropout draws from; no parameter's name begins with a dot."""


@contextmanager
def undisturbed(module: nn.Module, training: bool | None, seed: int) -> Iterator[None]:
    """Run the block with no gradients yet, in the mode given, under a random stream of its own.

    Afterwards the gradients, the modes of all modules, the buffers (BatchNorm's statistics), the
    weights that an embedding's ``max_norm`` rescales, and torch's generator are as before.

    Args:
        module: the model.
        training: the mode; None leaves each module in its own.
        seed: of the stream.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(_modes(module))
        stack.enter_context(_gradients(module))
        stack.enter_context(_buffers(module))
        stack.enter_context(_rescaled(module))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        torch.set_rng_state(streams.stream(seed, FORWARD).get_state())
        if training is not None:
            module.train(training)
        yield


@contextmanager
def _modes(module: nn.Module) -> Iterator[None]:
    modes = [(each, each.training) for each in module.modules()]
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


@contextmanager
def _gradients(module: nn.Module) -> Iterator[None]:
    gradients = [(each, each.grad) for each in module.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient


@contextmanager
def _buffers(module: nn.Module) -> Iterator[None]:
    saved = [
        (each, name, buffer, _copy(buffer))
        for each in module.modules()
        for name, buffer in each._buffers.items()
    ]
    try:
        yield
    finally:
        for each, name, buffer, copy in saved:
            each._buffers[name] = buffer
            _put_back(buffer, copy)


@contextmanager
def _rescaled(module: nn.Module) -> Iterator[None]:
    weights = [
        each.weight
        for each in module.modules()
        if isinstance(each, (nn.Embedding, nn.EmbeddingBag)) and each.max_norm is not None
    ]
    saved = [(weight, _copy(weight)) for weight in weights]
    try:
        yield
    finally:
        for weight, copy in saved:
            _put_back(weight, copy)


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()


def _put_back(tensor: Tensor | None, copy: Tensor | None) -> None:
    # torch counts no version where batch norm moves its statistics, so the values are compared
    if tensor is not None and copy is not None and not torch.equal(tensor, copy):
        with torch.no_grad():
            tensor.copy_(copy)
