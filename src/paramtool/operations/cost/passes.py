"""The two forward passes: in evaluation mode without gradients, and in training mode with them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paramtool.errors import first_line
from paramtool.foreign_code import foreign_code
from paramtool.network.nesting import room_for
from paramtool.operations.cost.attention import CpuChoice
from paramtool.operations.cost.ledger import ModuleCalls, Saved
from paramtool.operations.cost.live_memory import LiveMemory, key_of, memory_of
from paramtool.operations.cost.operation_count import OperationCount
from paramtool.operations.gradients.calls import Calls
from paramtool.operations.gradients.copy_on_write import CopyOnWrite
from paramtool.operations.gradients.isolation import undisturbed
from paramtool.operations.gradients.refusals import failed_forward
from paramtool.tensors.nested_values import tensors

_ABOUT_OUR_HOOKS = "when there are global hooks on modules"
"""Part of torch's warning about a compiled module whose calls are followed."""


@dataclass(frozen=True)
class Inference:
    """What the pass in evaluation mode found.

    Attributes:
        calls, flops: of each path, without the modules in it.
        shapes: of the first output of each path.
        most: bytes that were alive at once, at most, parameters and buffers apart.
        output: what the model returned.
        notes: what torch warned about.
    """

    calls: Counter[str]
    flops: Counter[str]
    shapes: Mapping[str, tuple[int, ...] | None]
    most: int
    output: Any
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Passes:
    """A model and what it is called with.

    Attributes:
        module: on the meta device, or with values on the CPU; it is left as it was.
        positional, named: the inputs, on the same device.
        levels: of modules.
        seed: of dropout.
    """

    module: nn.Module
    positional: Sequence[Any]
    named: Mapping[str, Any]
    levels: int
    seed: int

    def inference(self) -> Inference:
        """Run in evaluation mode without gradients, and count operations and memory.

        Raises:
            UserCodeFailed: if the forward raises.
        """
        calls = ModuleCalls(self.module)
        count, alive = OperationCount(calls.where), LiveMemory(self._own())
        alive.add(tensors((self.positional, self.named)))
        modes = self._mode(training=False), torch.no_grad(), calls.followed(), alive, count
        with self._warnings() as caught, _together(*modes):
            output = self._forward(calls)
        said = [first_line(each.message) for each in caught]
        notes = tuple(f"torch warns: {each}" for each in said if _ABOUT_OUR_HOOKS not in each)
        return Inference(calls.calls, count.flops, calls.shapes, alive.most, output, notes)

    def saved(self) -> tuple[Counter[str], int]:
        """Run in training mode, and return the bytes that autograd saves by path, and the operation count.

        Raises:
            UserCodeFailed: if the forward raises.
        """
        calls = ModuleCalls(self.module)
        saved, count = Saved(self._own(), calls.where), OperationCount(calls.where)
        hooks = torch.autograd.graph.saved_tensors_hooks(saved.pack, _same)
        with self._warnings(), _together(self._mode(training=True), calls.followed(), count, hooks):
            self._forward(calls)
        return saved.nbytes, sum(count.flops.values())

    def _own(self) -> list[int]:
        found = [memory_of(each) for each in (*self.module.parameters(), *self.module.buffers())]
        return [key_of(each) for each in found if each is not None]

    @contextmanager
    def _mode(self, *, training: bool) -> Iterator[None]:
        given = tensors((self.positional, self.named))
        is_meta = any(each.is_meta for each in (*self.module.parameters(), *self.module.buffers(), *given))
        with (
            room_for(self.levels),
            undisturbed(self.module, training, self.seed, given) as kept,
            CpuChoice() if is_meta else _countable(kept),
        ):
            yield

    @staticmethod
    @contextmanager
    def _warnings() -> Iterator[list[warnings.WarningMessage]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught

    def _forward(self, calls: Calls) -> Any:
        with foreign_code(lambda error: failed_forward(error, calls.failed(error), self.module)):
            return self.module(*self.positional, **self.named)


@contextmanager
def _together(*contexts: AbstractContextManager[Any]) -> Iterator[None]:
    """Enter all, in their order."""
    with ExitStack() as stack:
        for each in contexts:
            stack.enter_context(each)
        yield


@contextmanager
def _countable(kept: CopyOnWrite) -> Iterator[None]:
    """Run on the CPU in operations whose formulas are known: oneDNN and fused layers hide theirs."""
    fused, one = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    try:
        with kept:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        torch._C._set_mkldnn_enabled(one)


def _same(tensor: Tensor) -> Tensor:
    return tensor
