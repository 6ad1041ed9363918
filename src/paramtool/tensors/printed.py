"""The elements of a tensor, as numbers and as torch prints them."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch._tensor_str import printoptions

from paramtool.records.parameter import Printed, Values
from paramtool.tensors.elements import EDGE, Elements

MOST_VALUES = 1000  # where torch begins to summarize as well
MOST_LINES = 10_000  # elements of a summary, which has 7 of each dimension


def printed(tensor: Tensor) -> Printed:
    """Return the elements as nested tuples, None past 1,000 of them, and torch's own text."""
    detached = tensor.detach()
    values = _nested(detached.tolist()) if tensor.numel() <= MOST_VALUES else None
    return Printed(values, str(detached))


def printed_elements(elements: Elements, name: str, shape: tuple[int, ...]) -> Printed:
    """Return what `printed` does of the tensor `name`, of which only the edges are read where it is large."""
    if math.prod(shape) <= MOST_VALUES:
        return printed(_whole(elements, name, shape))
    if math.prod(min(size, 2 * EDGE + 1) for size in shape) > MOST_LINES:
        return Printed(None, f"tensor of {len(shape)} dimensions, too many to print")
    with printoptions(threshold=0):  # what is small is summarized as well
        return Printed(None, str(elements.outline(name)))


def _whole(elements: Elements, name: str, shape: tuple[int, ...]) -> Tensor:
    if 0 in shape:
        return elements.outline(name).new_empty(shape)
    return torch.cat(list(elements.blocks(name))).reshape(shape)


def _nested(values: object) -> Values:
    if isinstance(values, list):
        return tuple(_nested(each) for each in values)
    if isinstance(values, complex):
        return (values.real, values.imag)
    return values  # type: ignore[return-value]
