"""One number from whatever a model returns, and whether it depends on the model at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from paramtool.audience import worded
from paramtool.errors import ParamtoolError
from paramtool.operations.gradients.graph import last_operation, operation
from paramtool.operations.gradients.magnitude import magnitude
from paramtool.operations.gradients.targets import WITH_TARGET, Target, compare
from paramtool.records.gradient import LossFunction
from paramtool.tensors import streams
from paramtool.tensors.nested_values import tensors

DIRECTION = ".projection"
"""Name of the stream of the projection's direction; no parameter's name begins with a dot."""

_NORMALIZING = ("softmax", "norm")
_HARDLY = 1e-5
"""Of the gradient that a normalization passes on: what rounding leaves in float32 is below."""


def loss_of(
    function: str,
    outputs: Sequence[Tensor],
    seed: int,
    target: Target = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Tensor:
    """Return the loss: the sum over `outputs` of one number of each; with a target, that of the first.

    - ``sum``: Σ y
    - ``mean``: Σ y / n, over the n elements of the output
    - ``square``: Σ y²
    - ``projection``: Σ r·y, with r a direction of norm 1 that the seed decides
    - ``cross_entropy``, ``nll``, ``mse``, ``l1``, ``smooth_l1``, ``bce_with_logits``: those of
      ``torch.nn.functional``, against a target; see `paramtool.operations.gradients.targets.compare`

    A complex output counts as its real and imaginary parts.  Half precision is cast to float32 first.

    Args:
        function: the name of one.
        outputs: tensors that require grad.
        seed: of the direction, and of a target that is drawn.
        target: what to compare the output with; None to draw it.
        tell: is called with what there is to say about the target.

    Raises:
        ParamtoolError: for a target that does not fit the output, or that the loss does not take.
    """
    kind = LossFunction(function)
    if kind in WITH_TARGET:
        output = outputs[0] if outputs[0].is_complex() else _real(outputs[0])
        compared = compare(kind, output, target, seed)
        if compared.note:
            tell(compared.note)
        if len(outputs) > 1:
            tell(f"{function} is of the first of {len(outputs)} outputs that require grad")
        return compared.loss
    if target is not None:
        known = ", ".join(each.value for each in WITH_TARGET)
        raise ParamtoolError(f"the loss {function} takes no target", hint=f"{known} do")
    reduce = _LOSSES[kind]
    losses = [reduce(_real(each), seed, index) for index, each in enumerate(outputs)]
    total = losses[0]
    for each in losses[1:]:
        total = total + each
    return total


def _real(output: Tensor) -> Tensor:
    if output.is_complex():
        output = torch.view_as_real(output)
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output


def _projection(output: Tensor, seed: int, index: int) -> Tensor:
    generator = streams.stream(seed, DIRECTION, index)
    direction = torch.randn(output.shape, generator=generator, dtype=torch.float32).to(output.dtype)
    norm = torch.linalg.vector_norm(direction)
    return (output * (direction / norm)).sum() if norm else output.sum()


_LOSSES: dict[LossFunction, Callable[[Tensor, int, int], Tensor]] = {
    LossFunction.sum: lambda output, *_: output.sum(),
    LossFunction.mean: lambda output, *_: output.mean(),
    LossFunction.square: lambda output, *_: output.square().sum(),
    LossFunction.projection: _projection,
}


class Degeneracy:
    """Watches the operations that end in the output, of which some cancel a loss.

    Softmax and layer norm make what comes out add up to a constant.  The gradient of a loss that is
    (nearly) this sum is then zero up to rounding, in a model in which all is well.

    Args:
        output: what the model returned.
        loss: the loss's name, or the function.
    """

    def __init__(self, output: Any, loss: str | Callable[..., Tensor]) -> None:
        self._loss = loss if isinstance(loss, str) else "loss"
        self._cancelled: list[str] = []
        for tensor in tensors(output):
            node = last_operation(tensor)
            if node is not None and any(word in operation(node) for word in _NORMALIZING):
                self._watch(node)

    def notes(self) -> list[str]:
        """Return what there is to say after the backward pass."""
        remedy = worded("--loss projection", "loss='projection'")
        return [
            f"the {self._loss} of the output of {name} hardly depends on its input, so gradients before"
            f" it are about 0; {remedy} avoids this"
            for name in dict.fromkeys(self._cancelled)
        ]

    def _watch(self, node: Node) -> None:
        name = operation(node).removeprefix("native_")

        def watch(given: Sequence[Tensor | None], got: Sequence[Tensor | None]) -> None:
            above, below = (_norm(each[0] if each else None) for each in (got, given))
            if above and below is not None and below <= _HARDLY * above:
                self._cancelled.append(name)

        node.register_hook(watch)


def _norm(gradient: Tensor | None) -> float | None:
    return None if gradient is None else magnitude(gradient).norm
