"""One number from whatever a model returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from paramtool.records.gradient import LossFunction
from paramtool.tensors import streams

DIRECTION = ".projection"
"""Name of the stream of the projection's direction; no parameter's name begins with a dot."""


def output_tensors(output: Any, name: str = "output") -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor in tuples, lists, mappings and dataclasses, with where it is."""
    if isinstance(output, Tensor):
        yield name, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from output_tensors(value, f"{name}[{key!r}]")
    elif is_dataclass(output) or hasattr(output, "_fields"):
        keys = [each.name for each in fields(output)] if is_dataclass(output) else output._fields
        for key in keys:
            yield from output_tensors(getattr(output, key), f"{name}.{key}")
    elif isinstance(output, (tuple, list)):
        for index, value in enumerate(output):
            yield from output_tensors(value, f"{name}[{index}]")


def loss_of(function: str, outputs: Sequence[Tensor], seed: int) -> Tensor:
    """Return the loss: the sum over `outputs` of one number of each.

    - ``sum``: Σ y
    - ``mean``: Σ y / n, over the n elements of the output
    - ``square``: Σ y²
    - ``projection``: Σ r·y, with r a direction of norm 1 that the seed decides

    A complex output counts as its real and imaginary parts.  Half precision is cast to float32 first.

    Args:
        function: the name of one.
        outputs: tensors that require grad.
        seed: of the direction.
    """
    reduce = _LOSSES[LossFunction(function)]
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
