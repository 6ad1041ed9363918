"""One rule on one tensor: a law that fills blocks, or a function that sees the whole."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paramtool.records.rule import Rule

if TYPE_CHECKING:
    from paramtool.initializers.functions.laws import Law


@dataclass(frozen=True)
class Step:
    """One rule on one tensor: a law for blocks, or a function for the whole.

    Attributes:
        position: of the rule among all rules, from 0.
    """

    rule: Rule
    law: Law | None
    function: Callable[..., object]
    arguments: Mapping[str, Any]
    position: int = 0

    @property
    def replaces(self) -> bool:
        """Whether nothing of the earlier values is left: so it is where a function says nothing."""
        return self.law.replaces if self.law else bool(getattr(self.function, "replaces", True))

    @property
    def keeps_zero(self) -> bool:
        """Whether an element that is 0 is still 0."""
        is_zero = self.law is not None and (self.law.mean, self.law.std) == (0.0, 0.0)
        return is_zero or self.rule.initializer == "mul"

    def touches(self, row: int, length: int) -> bool:
        """Return whether it is for an element of a row of a matrix with rows of `length`."""
        if self.law is None or self.law.span is None:
            return True
        start, stop = self.law.span
        return start < (row + 1) * length and row * length < stop


def offer(function: Callable[..., Any], arguments: Mapping[str, Any], **offered: Any) -> dict[str, Any]:
    """Add to `arguments` what the engine offers and `function` takes: ``generator``, ``parameter``."""
    taken = inspect.signature(function).parameters
    return {**arguments, **{name: value for name, value in offered.items() if name in taken}}
