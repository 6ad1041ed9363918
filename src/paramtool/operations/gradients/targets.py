"""What a loss compares the output with: the shape that it takes, and numbers where nobody gave any."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from paramtool.errors import ParamtoolError
from paramtool.quantities import counted
from paramtool.records.gradient import LossFunction
from paramtool.tensors import streams

Target: TypeAlias = "Tensor | Callable[[tuple[int, ...]], Tensor] | None"
"""The target itself, or what makes one of a shape; None to draw it."""

TARGET = ".target"
"""Name of the stream that targets are drawn from; no parameter's name begins with a dot."""

OF_CLASSES = (LossFunction.cross_entropy, LossFunction.nll)
_IGNORED = -100  # torch's ignore_index
_TOKENS = 3  # dimensions of an output with classes last

_COMPARED: dict[LossFunction, Callable[[Tensor, Tensor], Tensor]] = {
    LossFunction.cross_entropy: F.cross_entropy,
    LossFunction.nll: F.nll_loss,
    LossFunction.mse: F.mse_loss,
    LossFunction.l1: F.l1_loss,
    LossFunction.smooth_l1: F.smooth_l1_loss,
    LossFunction.bce_with_logits: F.binary_cross_entropy_with_logits,
}
WITH_TARGET = tuple(_COMPARED)
"""The losses that compare the output with a target."""


@dataclass(frozen=True)
class Compared:
    """A loss that compares the output with a target.

    Attributes:
        loss: one number.
        note: what the target was, if nobody gave it.
    """

    loss: Tensor
    note: str | None = None


def compare(function: LossFunction, output: Tensor, target: Target, seed: int) -> Compared:
    """Return the loss of one output, the mean over its elements as in torch.

    The classes of ``cross_entropy`` and ``nll`` are in dimension 1, as in torch, and in an output of three
    dimensions in the last: that of tokens, [batch, length, classes].  A target of class numbers lacks
    that dimension; where it fits only in the other way, it is read in the other way.  ``cross_entropy``
    also takes probabilities, in the shape of the output.

    Args:
        function: one of `WITH_TARGET`.
        output: of real numbers.
        target: None to draw it: class numbers; 0 or 1 for ``bce_with_logits``; else from the standard
            normal distribution.
        seed: of the stream that it is drawn from.

    Raises:
        ParamtoolError: for a target that does not fit the output.
    """
    if output.is_complex():
        raise ParamtoolError(f"{function.value} takes real numbers, but the output is complex")
    classes = _dimension(function, output, target)
    shape = tuple(size for at, size in enumerate(output.shape) if at != classes)
    given = target(shape) if callable(target) else target
    note = None
    if given is None:
        given, note = _drawn(function, output, shape, classes, seed)
    elif tuple(given.shape) != shape and not _has_probabilities(function, output, given):
        what = f"{function.value} of the output {list(output.shape)} takes {list(shape)}"
        raise ParamtoolError(f"the target is {list(given.shape)}, but {what}")
    if classes is not None and tuple(given.shape) == shape and not _is_soft(given, output):
        given = given.long()
        _check_classes(given, output.shape[classes])
    else:
        given = given.to(output.dtype)
    if classes is not None and classes != 1 and output.dim() > 1:
        output = output.movedim(classes, 1)
        given = given.movedim(classes, 1) if given.dim() == output.dim() else given
    return Compared(_COMPARED[function](output, given), note)


def _dimension(function: LossFunction, output: Tensor, target: Target) -> int | None:
    """Return the dimension of the classes; None for a loss without."""
    if function not in OF_CLASSES:
        return None
    if not output.dim():
        raise ParamtoolError(f"{function.value} takes an output with classes, but this is one number")
    usual = output.dim() - 1 if output.dim() in (1, _TOKENS) else 1
    if isinstance(target, Tensor):
        for each in (usual, 1, output.dim() - 1):
            if tuple(target.shape) == (*output.shape[:each], *output.shape[each + 1 :]):
                return each
    return usual


def _has_probabilities(function: LossFunction, output: Tensor, target: Tensor) -> bool:
    return function is LossFunction.cross_entropy and _is_soft(target, output)


def _is_soft(target: Tensor, output: Tensor) -> bool:
    return target.is_floating_point() and target.shape == output.shape


def _check_classes(target: Tensor, count: int) -> None:
    valid = target[target != _IGNORED]
    if not valid.numel():
        return
    low, high = (int(each) for each in torch.aminmax(valid))
    if low < 0 or high >= count:
        found = low if low < 0 else high
        raise ParamtoolError(
            f"the target has the class {found}, but the output has {counted(count, 'class')}"
        )


def _drawn(
    function: LossFunction, output: Tensor, shape: tuple[int, ...], classes: int | None, seed: int
) -> tuple[Tensor, str]:
    generator = streams.stream(seed, TARGET)
    if classes is not None:
        count = output.shape[classes]
        if not count:
            raise ParamtoolError(f"the output {list(output.shape)} has no classes")
        drawn = torch.randint(count, shape, generator=generator)
        what = f"{counted(math.prod(shape), 'class')} below {count:,}"
        where = f" (dimension {classes} of the output {list(output.shape)})"
    elif function is LossFunction.bce_with_logits:
        drawn = torch.randint(2, shape, generator=generator)
        what, where = f"0 or 1 for each element of the output {list(output.shape)}", ""
    else:
        drawn = torch.randn(shape, generator=generator)
        what, where = f"standard normal numbers {list(shape)}", ""
    note = f"no target was given; {function.value} uses random ones from seed {seed}: {what}{where}"
    return drawn.to(output.device), note
