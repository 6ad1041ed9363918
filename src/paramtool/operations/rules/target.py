"""What rules act on: every tensor that the forward uses, once, under all of its names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from paramtool.name_parts import last_part
from paramtool.operations.rules.step import Step
from paramtool.quantities import and_more
from paramtool.records.constructor import built_at_once
from paramtool.records.initialization import NORM

_NORMS = frozenset(("LayerNorm", "GroupNorm", "RMSNorm", "_NormBase"))


class Owner(NamedTuple):
    """The module that has a tensor.

    Attributes:
        bases: the class names that its class derives from, itself first.
        padding_idx: the row of an embedding's weight that gets no gradient.
    """

    bases: tuple[str, ...]
    padding_idx: int | None = None


@built_at_once
@dataclass(frozen=True, kw_only=True)
class Target:
    """A tensor, its names, the steps that run on it in order, and those that do not.

    A subclass knows the tensor itself: a live one, or what a spec says of it.

    Attributes:
        names: all of them, one for each owner; the first is that of the random stream and the table.  The
            stored tensors that a parametrized one is computed from follow.
        owners: the module of each name.
        refused: why no rule may fill it.
        changes: what lies over the same memory, or parts of it, and changes with it.
        changed_by: the targets whose fills change this one.
        is_overwritten: whether one of those comes last.
        is_covered: whether one of those replaces every element.
    """

    names: tuple[str, ...]
    owners: tuple[Owner, ...]
    refused: str | None = None
    steps: tuple[Step, ...] = ()
    skipped: tuple[Step, ...] = ()
    changes: tuple[str, ...] = ()
    changed_by: tuple[str, ...] = ()
    is_overwritten: bool = False
    is_covered: bool = False

    is_computed = False
    """Whether the stored tensors are others, from which a module computes it anew for each use."""

    @property
    def is_filled(self) -> bool:
        """Whether a rule decides every element, whatever was there before."""
        return self.is_covered or any(step.replaces for step in self.steps)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes."""
        raise NotImplementedError

    @property
    def dtype(self) -> str:
        """Torch's name of the dtype."""
        raise NotImplementedError

    @property
    def kind(self) -> object:
        """What a law depends on: two targets of one kind take it, or refuse it, in the same words."""
        return self.shape, self.dtype

    @property
    def ndim(self) -> int | None:
        """The number of dimensions; None for a lazy tensor."""
        return len(self.shape)

    @property
    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.dtype.startswith("complex")

    @property
    def largest(self) -> float:
        """The largest finite value of its dtype."""
        raise NotImplementedError

    @property
    def given(self) -> Any:
        """What stands for the tensor where a function is only asked whether it takes one."""
        return None

    @property
    def given_dtype(self) -> Any:
        """The dtype as the check of a function takes it."""
        return self.dtype

    def check(self) -> None:
        """Raise a ValueError if no rule may fill it."""
        if self.refused is not None:
            raise ValueError(self.refused)

    def try_law(self, law: Any) -> None:
        """Let torch refuse the numbers of a law."""
        raise NotImplementedError

    @property
    def is_touched(self) -> bool:
        """Whether any rule changes it, its own or that of another tensor over its memory."""
        return bool(self.steps or self.changed_by)

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def assigned(self) -> str | None:
        """Say how values get into one that is computed."""
        return None

    @property
    def note(self) -> str | None:
        """Say what the initializers took from the shape, and what to beware of."""
        notes = [step.law.note for step in self.steps if step.law and step.law.note]
        if len(self.owners) > 1:
            notes.append(f"tied: {self.names[1]}{and_more(len(self.owners) - 2)} too")
        notes.extend(self._sharing)
        if self.steps and self.assigned:
            notes.append(self.assigned)
        if self.steps and self.ndim == 1 and any(not _NORMS.isdisjoint(owner.bases) for owner in self.owners):
            notes.append(NORM)
        for row in sorted(self._padding):
            if any(step.touches(row, self.shape[-1]) and not step.keeps_zero for step in self.steps):
                notes.append(f"row {row} is padding_idx, filled as well")
        return "; ".join(notes) or None

    @property
    def _sharing(self) -> list[str]:
        if self.steps and self.changes:
            return [f"shares memory with {_listed(self.changes)}, which changes too"]
        if self.changed_by:
            return [f"shares memory with {_listed(self.changed_by)}, and changes with it"]
        return []

    @property
    def _padding(self) -> set[int]:
        """The rows that get no gradient in embeddings, so their values stay."""
        pairs = zip(self.names, self.owners, strict=False)
        return {
            owner.padding_idx
            for name, owner in pairs
            if owner.padding_idx is not None and last_part(name) == "weight"
        }


def _listed(names: tuple[str, ...]) -> str:
    return f"{names[0]}{and_more(len(names) - 1)}"
