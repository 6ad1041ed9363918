"""Run forward and backward passes, and keep what the report says about them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from paramtool.errors import ParamtoolError, first_line
from paramtool.foreign_code import foreign_code
from paramtool.operations.gradients import graph
from paramtool.operations.gradients.attributes import same_gradients
from paramtool.operations.gradients.calls import Calls
from paramtool.operations.gradients.layers import Layers
from paramtool.operations.gradients.losses import Degeneracy, loss_of
from paramtool.operations.gradients.refusals import failed_backward, failed_forward, failed_loss
from paramtool.operations.gradients.sensitivity import OutputGradients
from paramtool.operations.gradients.splits import Splits
from paramtool.operations.gradients.targets import Target
from paramtool.operations.gradients.uses import Uses
from paramtool.operations.gradients.views import Views
from paramtool.records.gradient import Output
from paramtool.records.parameter import MOST_PRINTED
from paramtool.tensors.kinds import lack_of_values, shape_of
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.nested_values import placed_tensors, replaced, tensors
from paramtool.tensors.printed import printed
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharding import arrived, is_sharded, whole_tensor

Loss = str | Callable[[Any], Tensor]
"""The name of a loss, or a function of what the model returns."""


@dataclass
class Passes:
    """The passes: what they need, and what they leave."""

    module: nn.Module
    inputs: tuple[Any, ...]
    named: dict[str, Any]
    loss: Loss
    seed: int
    by_use: bool
    with_layers: bool
    target: Target = None
    splits: Splits | None = None
    layers: Layers | None = None
    is_degenerate: bool = False
    value: float = 0.0
    text: str = ""
    outputs: tuple[Output, ...] = ()
    notes: list[str] = field(default_factory=list)
    output_gradients: OutputGradients = field(default_factory=OutputGradients)
    target_notes: list[str] = field(default_factory=list)

    @property
    def loss_name(self) -> str:
        """What the loss is called."""
        return self.loss if isinstance(self.loss, str) else getattr(self.loss, "__name__", "a function")

    def run(self, parameters: Sequence[nn.Parameter], steps: int, mode: TorchFunctionMode) -> None:
        """Run them all, in `mode`; the gradients are on the parameters."""
        self.splits = Splits() if self.by_use else None
        self.layers = Layers() if self.with_layers else None
        calls = Calls(self.module, self.layers.leave if self.layers else None)
        learned = [each for each in parameters if each.requires_grad]
        with warnings.catch_warnings(record=True) as caught, calls.followed(), mode:
            warnings.simplefilter("always")
            for _ in range(steps):
                calls.again()
                if self.layers:
                    self.layers.again()
                uses = Uses(learned, calls, every=steps > 1) if self.splits is not None else None
                self._one(calls, uses)
                if self.splits is not None and uses is not None:
                    found = uses.collect()
                    self.splits.add(found, uses.foreign, uses.watched, uses.folds)
        self.notes[:0] = dict.fromkeys(self.target_notes)
        self.notes.extend(f"torch warns: {first_line(each.message)}" for each in caught)

    def agree(self) -> None:
        """Take what process 0 found where processes may have run on parts of a batch; all of them call it.

        Raises:
            ParamtoolError: in every process, if one cannot say what it found.
        """
        own = (self.value, self.text, self.outputs, self.output_gradients.sum, self.is_degenerate, self.notes)
        everyone = gathered(lambda: own)
        self.value, self.text, self.outputs, total, self.is_degenerate, notes = everyone[0]
        self.output_gradients.sum = total
        losses = [value for value, *_ in everyone]
        self.notes = list(notes)
        if any(each != losses[0] for each in losses if not math.isnan(each)):
            self.notes.append(f"the loss differs between processes; that of process 0 is {losses[0]:g}")

    def _one(self, calls: Calls, uses: Uses | None) -> None:
        output = self._forward(calls, uses)
        with foreign_code(lambda error: failed_loss(self.loss_name, error)):
            loss = self._loss(output)
        degeneracy = Degeneracy(output, self.loss)
        self.outputs = tuple(_output(name, tensor) for name, tensor in placed_tensors(output, "output"))
        self.output_gradients.watch(tensors(output))
        del output  # which may be large, and nothing of the backward pass needs
        if uses is not None:
            uses.prepare(loss)
        seen = Views(uses) if uses is not None else nullcontext()
        foreign = foreign_code(lambda error: failed_backward(error, self.module))
        with foreign, seen, same_gradients(self._others(loss)):
            loss.backward()  # type: ignore[no-untyped-call]
        self.value, self.text = float(loss.detach()), str(loss)
        self.notes = degeneracy.notes()
        self.is_degenerate = bool(self.notes)

    def _forward(self, calls: Calls, uses: Uses | None) -> Any:
        foreign = foreign_code(lambda error: failed_forward(error, calls.failed(error), self.module))
        with foreign, Views(uses) if uses is not None else nullcontext():
            output = self.module(*self.inputs, **self.named)
            return replaced(output, whole_tensor) if any(map(is_sharded, tensors(output))) else output

    def _others(self, loss: Tensor) -> list[Tensor]:
        """Return what else than a parameter of the module the backward pass reaches, such as an input."""
        own = set(map(id, self.module.parameters()))
        return [each for each in graph.leaves([loss]) if id(each) not in own]

    def _loss(self, output: Any) -> Tensor:
        if callable(self.loss):
            loss = self.loss(output)
            if loss.numel() != 1 or not loss.requires_grad:
                raise ParamtoolError(f"the loss {self.loss_name} must return one number that requires grad")
            return loss
        outputs = [each for each in tensors(output) if each.requires_grad]
        if not outputs:
            message = "the output does not depend on a parameter that requires grad"
            hint = "none of what the model returns has a grad_fn"
            raise ParamtoolError(message, hint=hint)
        return loss_of(self.loss, outputs, self.seed, self.target, self.target_notes.append)


def _output(name: str, tensor: Tensor) -> Output:
    shape = shape_of(tensor)
    small = shape is not None and tensor.numel() <= MOST_PRINTED
    elements = arrived(tensor)
    return Output(
        name=name,
        shape=shape or (),
        dtype=dtype_name(tensor),
        grad_fn=tensor.grad_fn.name() if tensor.grad_fn is not None else None,
        values=printed(elements).values if small else None,
        text=_text(elements) if small else None,
    )


def _text(tensor: Tensor) -> str:
    """Return torch's own text, with what made it; memory that was freed is not read."""
    return printed(tensor).text if lack_of_values(tensor) else str(tensor)
