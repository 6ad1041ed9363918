"""Add up, over passes, what each use of a parameter gave, and check that it is the gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from paramtool.audience import worded
from paramtool.errors import Bug
from paramtool.operations.gradients.calls import Call
from paramtool.operations.gradients.magnitude import Magnitude, distance, inner, magnitude
from paramtool.operations.gradients.uses import Use

FINITE = ("ok", "zero")

REST = "rest"
"""In the place of an operation: what no use of the parameter added."""

_ROUNDINGS = 4
"""Units in the last place, for each addition, that the sum of the uses may be off by."""


@dataclass
class Split:
    """One use of a parameter, the same in every pass, and what it added in all of them."""

    call: Call
    operation: str
    gradient: Tensor | None = None

    @cached_property
    def magnitude(self) -> Magnitude | None:
        """The size of what it added, once all passes are over; None if nothing came back."""
        return None if self.gradient is None else magnitude(self.gradient)

    def add(self, gradient: Tensor | None) -> None:
        """Add what the use gave in one more pass."""
        if gradient is not None:
            self.gradient = gradient if self.gradient is None else self.gradient + gradient

    def against(self, total: Tensor, whole: Magnitude) -> tuple[float | None, float | None]:
        """Return the share, ⟨use, total⟩ / ⟨total, total⟩, and the cosine of the angle to the total."""
        mine = self.magnitude
        if self.gradient is total and whole.verdict == "ok":
            return 1.0, 1.0
        if self.gradient is None or mine is None or mine.verdict not in FINITE or whole.verdict != "ok":
            return None, None
        if not (mine.is_safe and whole.is_safe) and mine.abs_max:  # products may overflow
            turned = inner(self.gradient, total, mine.abs_max, whole.abs_max) / whole.unit_norm
            share = turned / whole.unit_norm * (mine.abs_max / whole.abs_max)
            return share, max(-1.0, min(1.0, turned / mine.unit_norm))
        product = inner(self.gradient, total) / whole.norm
        cosine = max(-1.0, min(1.0, product / mine.norm)) if mine.norm else None
        return product / whole.norm, cosine


class Splits:
    """The uses of each parameter, over all passes."""

    def __init__(self) -> None:
        self._splits: dict[int, dict[tuple[Call, str, int], Split]] = {}
        self._passes = 0
        self._foreign = False
        self._watched = False
        self.residual = 0.0
        """The largest ‖Σ uses - gradient‖ / Σ ‖use‖ so far; a parameter's only use is its gradient."""

    def add(self, uses: Sequence[Use], foreign: bool = False, watched: bool = False) -> None:
        """Add the uses of one pass.

        Args:
            uses: those of all parameters.
            foreign: code of the model's own may have changed gradients in it.
            watched: every use knows what it added; else a parameter's only use does not.
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
            split.add(use.gradient)

    def of(self, parameter: nn.Parameter) -> list[Split]:
        """Return the uses of `parameter`, in the order of the forward pass."""
        splits = list(self._splits.get(id(parameter), {}).values())
        if len(splits) == 1 and splits[0].gradient is None and not self._watched:
            splits[0].gradient = parameter.grad
        return splits

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
        sizes = [each.magnitude for each in splits if each.magnitude]
        if any(each.verdict not in FINITE for each in sizes):
            return None  # there is no difference between numbers that are not finite
        largest = max((each.abs_max for each in (whole, *sizes)), default=0.0)
        unit = 1.0 if all(each.is_safe for each in (whole, *sizes)) else largest
        off = distance(gradient, [each.gradient for each in splits if each.gradient is not None], unit)
        norms = sum(each.unit_norm * (each.abs_max / unit) for each in sizes)
        residual = off / norms if norms else off
        # each addition rounds, in the dtype of the gradient
        additions = len(splits) * self._passes
        if residual <= _ROUNDINGS * additions * torch.finfo(gradient.dtype).eps:
            self.residual = max(self.residual, residual)
            return None
        if self._foreign:
            return Split(Call("", 1), REST, _left(gradient, splits))
        message = f"the uses of '{name}' do not add up to its gradient; the residual is {residual:.3g}"
        raise Bug(
            message, hint=f"please report this; {worded('--no-by-use', 'by_use=False')} leaves out the uses"
        )


def _left(gradient: Tensor, splits: Sequence[Split]) -> Tensor:
    left = gradient.to_dense().clone()
    for each in splits:
        if each.gradient is not None:
            left -= each.gradient.to_dense()
    return left


def is_hooked(parameter: nn.Parameter) -> bool:
    """Return whether a hook of the parameter's own may change its gradient, after the uses were added up."""
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)
