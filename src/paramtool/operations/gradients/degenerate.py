"""Notice a loss that hardly depends on the model: the sum over a softmax is 1, whatever went in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.autograd.graph import Node

from paramtool.operations.gradients.graph import last_operation, operation
from paramtool.operations.gradients.losses import output_tensors
from paramtool.operations.gradients.magnitude import magnitude

_NORMALIZING = ("softmax", "norm")
_HARDLY = 1e-5
"""Of the gradient that a normalization passes on: what rounding leaves in float32 is below."""


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
        for _, tensor in output_tensors(output):
            node = last_operation(tensor)
            if node is not None and any(word in operation(node) for word in _NORMALIZING):
                self._watch(node)

    def notes(self) -> list[str]:
        """Return what there is to say after the backward pass."""
        return [
            f"the {self._loss} of what {name} returns hardly depends on what went in, so gradients before"
            " it are about 0; --loss projection has none of this"
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
