"""The bytes that an optimizer of torch.optim keeps between steps, for each parameter.

With n for the bytes of the parameter:

    sgd                                          0
    sgd_momentum                                 n
    rmsprop, adagrad                             n + 4
    adam, adamw, adamax, radam, adadelta        2n + 4
    nadam                                       2n + 8
    adafactor, of two dimensions and more       n / columns + n / rows + 4, by the last two dimensions
    adafactor, of fewer                          n + 4

The 4 are the number of steps, a float32 that torch keeps for each parameter; nadam has a second one.  They
are those of the default arguments: ``amsgrad``, ``centered`` and the like keep more.  Gradients are
dense.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from paramtool.records.cost import Optimizer

STEP = 4
"""Bytes of a number that is kept for each parameter."""


def _times(tensors: int, numbers: int) -> Callable[[Sequence[int], int], int]:
    def states(shape: Sequence[int], itemsize: int) -> int:
        return tensors * math.prod(shape) * itemsize + numbers * STEP

    return states


def _factored(shape: Sequence[int], itemsize: int) -> int:
    """Return the bytes of a factor for the rows and one for the columns; the other dimensions stay."""
    if len(shape) < 2:
        return math.prod(shape) * itemsize + STEP
    *others, rows, columns = shape
    return math.prod(others) * (rows + columns) * itemsize + STEP


_STATES: Mapping[str, Callable[[Sequence[int], int], int]] = {
    "sgd": _times(0, 0),
    "sgd_momentum": _times(1, 0),
    "rmsprop": _times(1, 1),
    "adagrad": _times(1, 1),
    "adam": _times(2, 1),
    "adamw": _times(2, 1),
    "adamax": _times(2, 1),
    "radam": _times(2, 1),
    "adadelta": _times(2, 1),
    "nadam": _times(2, 2),
    "adafactor": _factored,
}


def state_nbytes(optimizer: Optimizer, shape: Sequence[int], itemsize: int) -> int:
    """Return the bytes that `optimizer` keeps for a parameter.

    Args:
        optimizer: with the default arguments of torch.optim.
        shape: sizes of the parameter.
        itemsize: bytes of one of its elements.
    """
    return _STATES[optimizer.value](shape, itemsize)
