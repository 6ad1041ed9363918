"""What a strict load finds wrong."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...] | None


@dataclass(frozen=True)
class Misfit:
    """A tensor whose shape is not that of the module.

    Attributes:
        name: of the tensor in the module.
        was, now: the shapes in the state_dict and in the module; None for a lazy tensor without one.
    """

    name: str
    was: Shape
    now: Shape


@dataclass(frozen=True)
class Answer:
    """What ``load_state_dict(strict=True)`` says.

    Attributes:
        missing, unexpected: keys, in torch's order.
        sizes: tensors whose shapes differ.
        others: further messages, those of hooks for example.
        kept: names of missing tensors that torch fills itself.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    sizes: tuple[Misfit, ...] = ()
    others: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    @property
    def loads(self) -> bool:
        """Whether torch would load it."""
        return not (self.missing or self.unexpected or self.sizes or self.others)
