"""The targets of a live module."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.errors import UserCodeFailed, first_line
from paramtool.foreign_code import foreign_code
from paramtool.operations.initialization.parametrizations import Effective, effective_of, old_style
from paramtool.operations.rules.target import Owner, Target
from paramtool.records.constructor import built_at_once
from paramtool.tensors.named_tensors import NamedTensor, dtype_name, named_tensors
from paramtool.tensors.scratch import drawn_in


@built_at_once
@dataclass(frozen=True, kw_only=True)
class LiveTarget(Target):
    """A tensor of a module.

    Attributes:
        tensor: the parameter; of a parametrized one a copy of what the forward uses.
        effective: how values are assigned where `tensor` is a copy.
    """

    tensor: Tensor
    effective: Effective | None = None

    @property
    def is_computed(self) -> bool:  # type: ignore[override]
        """Whether it is the copy of a parametrized one."""
        return self.effective is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes."""
        return tuple(self.tensor.shape)

    @property
    def dtype(self) -> str:
        """Torch's name of the dtype."""
        return dtype_name(self.tensor)

    @property
    def ndim(self) -> int | None:
        """The number of dimensions; None for a lazy tensor."""
        return None if is_lazy(self.tensor) else self.tensor.ndim

    @property
    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.tensor.is_complex()

    @property
    def largest(self) -> float:
        """The largest finite value of its dtype."""
        return float(torch.finfo(self.tensor.dtype).max)

    @property
    def given(self) -> Tensor:
        """The tensor itself."""
        return self.tensor

    @property
    def given_dtype(self) -> torch.dtype:
        """The dtype itself."""
        return self.tensor.dtype

    def check(self) -> None:
        """Raise a ValueError if no rule may fill it."""
        super().check()
        tensor = self.tensor
        if self.effective is not None:
            self.effective.check_inverse()
        if is_lazy(tensor):
            raise ValueError("it is lazy and has no shape; give the spec an 'input'")
        if tensor.layout == torch.strided and tensor.numel():
            places = zip(tensor.shape, tensor.stride(), strict=True)
            if any(size > 1 and not stride for size, stride in places):
                raise ValueError("some of its elements share one place in memory, as after expand()")
        if not (tensor.is_floating_point() or tensor.is_complex()):
            raise ValueError(f"its dtype is {dtype_name(tensor)}, not floating point")

    def try_law(self, law: Any) -> None:
        """Let torch refuse the numbers of a law, which it draws one element by."""
        dtype = drawn_in(self.tensor.dtype) if law.random else self.tensor.dtype
        law.draw(torch.zeros(1, dtype=dtype), torch.Generator())

    @property
    def assigned(self) -> str | None:
        """Say how values get into one that is computed."""
        if self.effective is None:
            return None
        unsure = ", if that can represent it" if self.tensor.is_meta else ""  # without values to try
        return f"assigned through {self.effective.parametrizations}{unsure}"


def owner_of(module: nn.Module) -> Owner:
    """Return what rules ask about a module that has a parameter."""
    padding = module.padding_idx if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) else None
    return Owner(_bases(type(module)), padding)  # type: ignore[arg-type]


@cache
def _bases(kind: type) -> tuple[str, ...]:
    return tuple(base.__name__ for base in kind.__mro__ if issubclass(base, nn.Module))


def targets_of(module: nn.Module) -> list[LiveTarget]:
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


def _target(group: list[NamedTensor], module: nn.Module, shared: set[int]) -> LiveTarget:
    stored = tuple(each.name for each in group)
    tensor = group[0].tensor
    refused = next((reason for reason in map(old_style, group) if reason), None)
    if any(id(each.tensor) in shared for each in group):
        refused = "it is tied to a tensor that another one is computed from"
    computed = dict(filter(None, (effective_of(each, module) for each in group)))
    if not computed:
        owners = tuple(owner_of(each.owner) for each in group)
        return LiveTarget(names=stored, tensor=tensor, owners=owners, refused=refused)
    names = (*computed, *stored)
    effective = next(iter(computed.values()))
    owners = tuple(owner_of(each.owner) for each in computed.values())
    try:
        with foreign_code(lambda error: UserCodeFailed(first_line(error))):
            tensor = effective.current()
    except UserCodeFailed as error:
        refused = f"it cannot be computed: {error.message}"
    return LiveTarget(names=names, tensor=tensor, owners=owners, effective=effective, refused=refused)
