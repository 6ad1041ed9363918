"""How wide the outputs of modules are spread, and the gradients that come back to them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from paramtool.elements.moments import Moments
from paramtool.operations.gradients.calls import Call
from paramtool.records.gradient import GradientRow
from paramtool.tensors.arrays import array_of
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.nested_values import tensors

CAPTION = "read outputs downwards and gradients of the loss upwards; log scale"


@dataclass
class _Layer:
    """One call of a module, and what is known of its output."""

    call: Call
    type: str
    shape: tuple[int, ...]
    dtype: str
    output_std: float | None
    gradient_std: float | None = None

    def take(self, gradient: Tensor) -> None:
        """Take the gradient that comes back to the output."""
        self.gradient_std = spread(gradient)


class Layers:
    """Watches the output of every call; give `leave` to `Calls`.

    Of several tensors in an output the first of floating point counts.  A container that returns its
    last child's output is left out, as that output is there already.
    """

    def __init__(self) -> None:
        self._layers: list[_Layer] = []
        self._last: Tensor | None = None

    def again(self) -> None:
        """Forget, for another pass."""
        self._layers.clear()
        self._last = None

    def leave(self, call: Call, module: nn.Module, output: Any) -> None:
        """Take the output of a call that has returned."""
        if torch._C._are_functorch_transforms_active():
            return  # below vmap no tensor has values to look at
        tensor = next((each for each in tensors(output) if _has_spread(each)), None)
        if tensor is None or tensor is self._last:
            return
        self._last = tensor
        shape = tuple(tensor.shape)
        layer = _Layer(call, type(module).__name__, shape, dtype_name(tensor), spread(tensor))
        self._layers.append(layer)
        if tensor.requires_grad:
            tensor.register_hook(layer.take)  # type: ignore[no-untyped-call]

    def rows(self) -> list[GradientRow]:
        """Return a row for each call, in the order in which they returned."""
        self._last = None
        return [
            GradientRow(
                kind="module",
                name=each.call.path,
                module=each.call.path,
                call=each.call.number,
                type=each.type,
                shape=each.shape,
                dtype=each.dtype,
                numel=math.prod(each.shape),
                output_std=each.output_std,
                gradient_std=each.gradient_std,
            )
            for each in self._layers
        ]


def _has_spread(tensor: Tensor) -> bool:
    """Return whether an output has a std; a nested tensor has not even a shape."""
    return (tensor.is_floating_point() or tensor.is_complex()) and not tensor.is_nested


def spread(tensor: Tensor) -> float | None:
    """Return the std with Bessel's correction; None of a single element, NaN or inf if one is."""
    flat = tensor.detach().to_dense().reshape(-1)
    if flat.is_complex():
        flat = flat.abs()
    moments = Moments()
    moments.take(*array_of(flat))
    if moments.nan or moments.inf:
        return math.nan if moments.nan else math.inf
    std = moments.result()["std"]
    return None if std is None else float(std)
