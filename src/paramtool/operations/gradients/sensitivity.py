"""Whether gradients vanish or explode on their way from the loss to a parameter.

A small gradient alone says nothing: that of a mean over many outputs is small, and one of a sum is large.
So the norm of a gradient is divided by what the backward pass started with,

    sensitivity = ‖∂loss/∂parameter‖ / Σ |∂loss/∂output|,

the sum over all elements of what the model returns.  It does not depend on the scale of the loss, nor on
the number of outputs and samples, and is at most how far an output moves, averaged with the loss's own
weights, when the parameter moves by 1.  In networks that learn it is about 1e-4 to 1e3.

After Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks* (2013),
gradients vanish or explode where they shrink or grow exponentially with depth.  A factor of a million
is what `VANISHING` and `EXPLODING` ask for: a float32 gradient that is a millionth of the others drowns in
their rounding.

Only weights of two dimensions and more are judged, and with them the other parameters of the same module
that are beyond the limit too.  A bias before a batch norm, or that of attention's keys, has a gradient of 0
up to rounding in a network in which all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from paramtool.name_parts import parent
from paramtool.operations.gradients.magnitude import absolute_sum
from paramtool.records.gradient import GradientRow

VANISHING = 1e-6
"""The sensitivity below which the gradient of a weight vanishes."""

EXPLODING = 1e6
"""The sensitivity above which it explodes."""


class OutputGradients:
    """Adds up |∂loss/∂output| over the elements of all outputs, and over passes."""

    def __init__(self) -> None:
        self.sum = 0.0

    def watch(self, outputs: Sequence[Tensor]) -> None:
        """Look at the gradients that come back to the outputs of one pass."""
        distinct = {id(each): each for each in outputs if each.requires_grad and not each.is_leaf}
        for each in distinct.values():
            each.register_hook(self._take)  # type: ignore[no-untyped-call]

    def _take(self, gradient: Tensor) -> None:
        with torch._C.DisableTorchFunction(), torch.no_grad():
            if gradient.layout is not torch.strided or gradient.is_nested:
                return
            self.sum += absolute_sum(gradient)


def judged(rows: Sequence[GradientRow], output: float, *, vanishes: bool = True) -> list[GradientRow]:
    """Return `rows` with the sensitivity of each parameter, and the verdicts that follow from it.

    Args:
        rows: those of parameters and uses.
        output: Σ |∂loss/∂output|; without it, or if it is not finite, nothing is known.
        vanishes: whether small gradients are the parameters' doing, and not that of a loss which cancels.
    """
    if not 0 < output < float("inf"):
        return list(rows)
    known = [row if row.norm is None else replace(row, sensitivity=row.norm / output) for row in rows]
    found = {
        (parent(name), verdict)
        for row in known
        if row.kind == "parameter" and len(row.shape or ()) > 1 and (verdict := _beyond(row))
        for name in (row.name, *row.tied)
    }
    return [_judged(row, found, vanishes) for row in known]


def _judged(row: GradientRow, found: set[tuple[str, str]], vanishes: bool) -> GradientRow:
    verdict = _beyond(row)
    if row.kind != "parameter" or verdict is None or (verdict == "vanishing" and not vanishes):
        return row
    is_judged = any((parent(name), verdict) in found for name in (row.name, *row.tied))
    return replace(row, verdict=verdict) if is_judged else row


def _beyond(row: GradientRow) -> str | None:
    """Return the verdict on a finite gradient that is not zero, by the limits alone."""
    if row.verdict != "ok" or row.sensitivity is None:
        return None
    if row.sensitivity < VANISHING:
        return "vanishing"
    return "exploding" if row.sensitivity > EXPLODING else None
