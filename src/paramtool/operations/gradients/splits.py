"""Add up, over passes, what each use of a parameter gave, and check that it is the gradient."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from paramtool.audience import worded
from paramtool.errors import Bug
from paramtool.operations.gradients.attributes import is_hooked
from paramtool.operations.gradients.calls import Call
from paramtool.operations.gradients.fold import Fold
from paramtool.operations.gradients.magnitude import Magnitude, magnitude
from paramtool.operations.gradients.measure import FINITE, Measure, against, residual_of
from paramtool.operations.gradients.uses import Use

REST = "rest"
"""In the place of an operation: what no use of the parameter added."""

_ROUNDINGS = 4
"""Units in the last place, for each addition, that the sum of the uses may be off by."""


@dataclass
class Split:
    """One use of a parameter, the same in every pass, and what it added in all of them.

    Attributes:
        call, operation: which use it is.
        gradient: what it added; None if nothing came back, or it was measured and let go.
        measure: what is left of a gradient that was let go.
    """

    call: Call
    operation: str
    gradient: Tensor | None = None
    measure: Measure | None = None

    @cached_property
    def magnitude(self) -> Magnitude | None:
        """The size of what it added, once all passes are over; None if nothing came back."""
        if self.measure is not None:
            return self.measure.magnitude
        return None if self.gradient is None else magnitude(self.gradient)

    def add(self, gradient: Tensor | None) -> None:
        """Add what the use gave in one more pass."""
        if gradient is not None:
            self.gradient = gradient if self.gradient is None else self.gradient + gradient

    def against(self, total: Tensor, whole: Magnitude) -> tuple[float | None, float | None]:
        """Return the share, ⟨use, total⟩ / ⟨total, total⟩, and the cosine of the angle to the total."""
        if self.measure is not None:
            return self.measure.share, self.measure.cosine
        return against(self.gradient, self.magnitude, total, whole)


class Splits:
    """The uses of each parameter, over all passes."""

    def __init__(self) -> None:
        self._splits: dict[int, dict[tuple[Call, str, int], Split]] = {}
        self._folds: dict[int, Fold] = {}
        self._passes = 0
        self._foreign = False
        self._watched = False
        self.residual = 0.0
        """The largest ‖Σ uses - gradient‖ / Σ ‖use‖ so far; a parameter's only use is its gradient."""

    def add(
        self,
        uses: Sequence[Use],
        foreign: bool = False,
        watched: bool = False,
        folds: Sequence[Fold] = (),
    ) -> None:
        """Add the uses of one pass.

        Args:
            uses: those of all parameters.
            foreign: code of the model's own may have changed gradients in it.
            watched: every use knows what it added; else a parameter's only use does not.
            folds: the parameters whose uses were measured and let go, where there is one pass only.
        """
        self._passes += 1
        self._foreign |= foreign
        self._watched |= watched
        alike: Counter[tuple[int, Call, str]] = Counter()
        for use in uses:
            key = (id(use.parameter), use.call, use.operation)
            alike[key] += 1
            splits = self._splits.setdefault(id(use.parameter), {})
            split = splits.setdefault((use.call, use.operation, alike[key]), Split(use.call, use.operation))
            split.measure = use.measure
            split.add(use.gradient)
        self._folds = {id(each.parameter): each for each in folds}

    def of(self, parameter: nn.Parameter) -> list[Split]:
        """Return the uses of `parameter`, in the order of the forward pass."""
        splits = list(self._splits.get(id(parameter), {}).values())
        if len(splits) == 1 and splits[0].gradient is None and not self._watched:
            splits[0].gradient = parameter.grad
        return splits

    def size(self, parameter: nn.Parameter) -> Magnitude | None:
        """Return the magnitude of the gradient, if it is known already."""
        fold = self._folds.get(id(parameter))
        return fold.whole if fold is not None and fold.is_current else None

    def check(self, name: str, parameter: nn.Parameter, whole: Magnitude) -> Split | None:
        """Compare the sum of the uses with the gradient, whose magnitude is `whole`.

        Returns:
            what is left over, where code of the model's own that ran in the backward pass may have added
            it; else None.

        Raises:
            Bug: if they differ by more than rounding, and nobody else can have done it.
        """
        splits, gradient = self.of(parameter), parameter.grad
        if is_hooked(parameter):
            return None  # a hook makes of the sum whatever it likes
        if gradient is None or whole.verdict not in FINITE:
            return None
        if len(splits) == 1 and splits[0].gradient is gradient:
            return None
        fold = self._folds.get(id(parameter))
        residual = _residual(splits, gradient, whole) if fold is None else fold.residual
        if fold is not None and not fold.is_current:
            residual = math.inf
        if residual is None:
            return None
        # each addition rounds, in the dtype of the gradient
        additions = len(splits) * self._passes
        if residual <= _ROUNDINGS * additions * torch.finfo(gradient.dtype).eps:
            self.residual = max(self.residual, residual)
            return None
        if self._foreign:
            return Split(Call("", 1), REST, _left(gradient, splits) if fold is None else None)
        message = f"the uses of '{name}' do not add up to its gradient; the residual is {residual:.3g}"
        raise Bug(
            message, hint=f"please report this; {worded('--no-by-use', 'by_use=False')} leaves out the uses"
        )


def _residual(splits: Sequence[Split], total: Tensor, whole: Magnitude) -> float | None:
    gradients = [each.gradient for each in splits if each.gradient is not None]
    return residual_of(total, whole, gradients, [each.magnitude for each in splits if each.magnitude])


def _left(gradient: Tensor, splits: Sequence[Split]) -> Tensor:
    left = gradient.to_dense().clone()
    for each in splits:
        if each.gradient is not None:
            left -= each.gradient.to_dense()
    return left
