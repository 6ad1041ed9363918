"""What rules act on: every tensor that the forward uses, once, under all of its names."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from paramtool.errors import UserCodeFailed, first_line
from paramtool.foreign_code import foreign_code
from paramtool.name_parts import last_part
from paramtool.operations.initialization.parametrizations import Effective, effective_of, old_style
from paramtool.operations.initialization.steps import Step
from paramtool.quantities import and_more
from paramtool.records.initialization import NORM
from paramtool.tensors.named_tensors import NamedTensor, named_tensors

_NORMS = ("LayerNorm", "GroupNorm", "RMSNorm", "_NormBase")
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True)
class Target:
    """A tensor, its names, the steps that run on it in order, and those that do not.

    Attributes:
        names: all of them, one for each owner; the first is that of the random stream and the table.  The
            stored tensors that a parametrized one is computed from follow.
        tensor: the parameter; of a parametrized one a copy of what the forward uses.
        owners: the module of each name.
        effective: how values are assigned where `tensor` is a copy.
        refused: why no rule may fill it.
        changes: what lies over the same memory, or parts of it, and changes with it.
        changed_by: the targets whose fills change this one.
        is_overwritten: whether one of those comes last.
        is_covered: whether one of those replaces every element.
    """

    names: tuple[str, ...]
    tensor: Tensor
    owners: tuple[nn.Module, ...]
    effective: Effective | None = None
    refused: str | None = None
    steps: tuple[Step, ...] = ()
    skipped: tuple[Step, ...] = ()
    changes: tuple[str, ...] = ()
    changed_by: tuple[str, ...] = ()
    is_overwritten: bool = False
    is_covered: bool = False

    @property
    def is_touched(self) -> bool:
        """Whether any rule changes it, its own or that of another tensor over its memory."""
        return bool(self.steps or self.changed_by)

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def note(self) -> str | None:
        """Say what the initializers took from the shape, and what to beware of."""
        notes = [step.law.note for step in self.steps if step.law and step.law.note]
        if len(self.owners) > 1:
            notes.append(f"tied: {self.names[1]}{and_more(len(self.owners) - 2)} too")
        notes.extend(self._sharing)
        if self.effective is not None and self.steps:
            unsure = ", if that can represent it" if self.tensor.is_meta else ""  # without values to try
            notes.append(f"assigned through {self.effective.parametrizations}{unsure}")
        bases = {base.__name__ for owner in self.owners for base in type(owner).__mro__}
        if bases & set(_NORMS) and self.tensor.ndim == 1 and self.steps:
            notes.append(NORM)
        for row in sorted(self._padding):
            if any(step.touches(row, self.tensor.shape[-1]) and not step.keeps_zero for step in self.steps):
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
        embeddings = [owner for name, owner in pairs if isinstance(owner, _EMBEDDINGS) and _is_weight(name)]
        return {each.padding_idx for each in embeddings if each.padding_idx is not None}


def _listed(names: tuple[str, ...]) -> str:
    return f"{names[0]}{and_more(len(names) - 1)}"


def _is_weight(name: str) -> bool:
    return last_part(name) == "weight"


def targets_of(module: nn.Module) -> list[Target]:
    """Return every tensor of `module` that a rule may fill, in the order of their first names.

    A tied parameter is one target.  So is a parametrized tensor: its first name is that of what the
    forward uses, and the stored tensors that it is computed from are further names of it.
    """
    groups: dict[int, list[NamedTensor]] = {}
    holders: dict[int, set[int]] = {}
    for named in named_tensors(module):
        if named.kind != "parameter":
            continue
        key = id(named.owner) if effective_of(named, module) else id(named.tensor)
        groups.setdefault(key, []).append(named)
        holders.setdefault(id(named.tensor), set()).add(key)
    shared = {tensor for tensor, keys in holders.items() if len(keys) > 1}
    return [_target(group, module, shared) for group in groups.values()]


def _target(group: list[NamedTensor], module: nn.Module, shared: set[int]) -> Target:
    stored = tuple(each.name for each in group)
    tensor = group[0].tensor
    refused = next((reason for reason in map(old_style, group) if reason), None)
    if any(id(each.tensor) in shared for each in group):
        refused = "it is tied to a tensor that another one is computed from"
    computed = dict(filter(None, (effective_of(each, module) for each in group)))
    if not computed:
        return Target(stored, tensor, tuple(each.owner for each in group), None, refused)
    names = (*computed, *stored)
    effective = next(iter(computed.values()))
    owners = tuple(each.owner for each in computed.values())
    try:
        with foreign_code(lambda error: UserCodeFailed(first_line(error))):
            return Target(names, effective.current(), owners, effective, refused)
    except UserCodeFailed as error:
        return Target(names, tensor, owners, effective, f"it cannot be computed: {error.message}")
