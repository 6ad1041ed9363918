"""Measure the uses of a large parameter as soon as its gradient is complete, and let them go.

The share of a use is its inner product with the total.  The total is known only when the last use has
come, and no sum of what came before gives ⟨first use, last use⟩ afterwards: each use must be there once
more at the end.

- The first of two uses is in memory until then anyway, as autograd waits for the second to add them.  A
  reference to it costs nothing; while it is held, autograd adds the two into a new tensor, so that for a
  moment there is one tensor more than in a pass by hand.
- Of three and more, autograd keeps the sum only.  These go to a file, which is read once, block by block.

Both give exactly what `measure` gives for uses that are all in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from paramtool.operations.gradients.magnitude import Elements, Magnitude, elements_of, magnitude
from paramtool.operations.gradients.measure import Measure, measured
from paramtool.operations.gradients.products import has_reading
from paramtool.operations.gradients.scratch_file import ScratchFile

if TYPE_CHECKING:
    from paramtool.operations.gradients.uses import Use

LARGE = 1 << 16
"""Elements from which a parameter is large; smaller gradients stay in memory, as they may be shown."""


class Room:
    """How much of the uses stays in memory: a quarter of the largest parameter, beyond that on disk."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        sizes = (each.nbytes for each in parameters if each.layout is torch.strided)
        self._left = max(sizes, default=0) // 4
        self._file = ScratchFile()

    def keep(self, gradient: Tensor) -> Elements:
        """Return the elements of a gradient, in memory or not."""
        if gradient.layout is not torch.strided:  # a sparse one is small
            return gradient
        if gradient.nbytes > self._left:
            kept = self._file.put(elements_of(gradient))
            if kept is not None:
                return kept
        self._left -= gradient.nbytes
        return gradient

    def free(self, kept: Elements | None) -> None:
        """Take back what is not kept any more."""
        if isinstance(kept, Tensor) and kept.layout is torch.strided:
            self._left += kept.nbytes


class Fold:
    """The uses of one parameter in one pass.

    Attributes:
        whole: the magnitude of the gradient; None until it is complete.
        residual: ‖Σ uses - gradient‖ / Σ ‖use‖; None if a number is not finite.
        measures: those of the uses, in the order in which they were given.
    """

    def __init__(self, parameter: nn.Parameter, uses: Sequence[Use], room: Room) -> None:
        self.parameter = parameter
        self.whole: Magnitude | None = None
        self.residual: float | None = None
        self.measures: list[Measure] = []
        self._uses = list(uses)
        self._kept: list[Elements | None] = [None] * len(uses)
        self._sizes: list[Magnitude | None] = [None] * len(uses)
        self._room = room
        self._state: object = None

    def taker(self, index: int) -> Callable[[Sequence[Tensor | None]], None]:
        """Return the hook before the node of a view: it takes what the use of that index added."""

        def take(given: Sequence[Tensor | None]) -> None:
            gradient = given[0]
            if gradient is None:
                return
            with torch._C.DisableTorchFunction(), torch.no_grad():
                if not has_reading(gradient):
                    self._sizes[index] = magnitude(gradient)
                is_kept_anyway = len(self._uses) == 2  # by autograd
                self._kept[index] = gradient if is_kept_anyway else self._room.keep(gradient)

        return take

    def close(self, *_: Any) -> None:
        """Measure the uses against the gradient, which is complete; the hook of the node that adds it."""
        with torch._C.DisableTorchFunction(), torch.no_grad():
            total = self.parameter.grad
            if total is None:
                return
            self.whole, self.measures, self.residual = measured(total, self._kept, self._sizes)
            self._state = _state(total)
            if len(self._uses) > 2:
                for each in self._kept:
                    self._room.free(each)
            self._kept.clear()

    def hand_on(self) -> None:
        """Leave with each use what was measured."""
        for use, measure in zip(self._uses, self.measures, strict=True):
            use.measure = measure

    @property
    def is_current(self) -> bool:
        """Whether the gradient is still what it was when the uses were measured."""
        gradient = self.parameter.grad
        return gradient is not None and _state(gradient) == self._state


def _state(gradient: Tensor) -> object:
    place = gradient.data_ptr() if gradient.layout is torch.strided else None
    return place, gradient._version
