"""Parametrized tensors: the forward pass uses a tensor computed from the stored ones.

Whoever writes the stored ones, or the attribute (pytorch #180968), gives the forward another law than
was asked for.  So values are assigned through the module, where the right inverses of its
parametrizations turn them into what is to be stored.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from paramtool.errors import UserCodeFailed, first_line
from paramtool.foreign_code import foreign_code
from paramtool.name_parts import last_part, parent
from paramtool.tensors.named_tensors import NamedTensor

_OLD_STYLE = ("torch.nn.utils.weight_norm", "torch.nn.utils.spectral_norm", "torch.nn.utils.prune")


@dataclass(frozen=True)
class Effective:
    """What a module computes anew for each use.

    Attributes:
        owner: the module.
        attribute: what the tensor is called there.
    """

    owner: nn.Module
    attribute: str

    @property
    def _list(self) -> ParametrizationList:
        lists = cast(nn.ModuleDict, self.owner.parametrizations)
        return cast(ParametrizationList, lists[self.attribute])

    @property
    def parametrizations(self) -> str:
        """Name the classes that compute it, in order."""
        return ", ".join(_name(each) for each in self._list)

    def current(self) -> Tensor:
        """Return a copy of what the forward would use.

        It is computed by a copy, because spectral norm goes on with its power iteration at each use.
        """
        with torch.no_grad():
            computed: Tensor = copy.deepcopy(self._list)()
            return computed.detach().clone(memory_format=torch.contiguous_format)

    def check_inverse(self) -> None:
        """Raise a ValueError if a parametrization has no right inverse."""
        for each in self._list:
            if not hasattr(each, "right_inverse"):
                raise ValueError(f"its parametrization {_name(each)} has no right inverse")

    def rehearse(self, value: Tensor) -> None:
        """Assign `value` in a copy, and raise a ValueError if the copy would then use something else."""
        trial = copy.deepcopy(self._list)
        with torch.no_grad():
            try:
                with foreign_code(lambda error: UserCodeFailed(first_line(error))):
                    trial.right_inverse(value.clone())
                    found: Tensor = trial()
            except UserCodeFailed as error:
                message = f"its parametrization {self.parametrizations}: {error.message}"
                raise ValueError(message) from error
        largest = float(value.nan_to_num().abs().max()) if value.numel() else 0.0
        room = torch.finfo(value.dtype).eps ** 0.5 * largest
        if not torch.allclose(found, value, rtol=0.0, atol=room, equal_nan=True):
            raise ValueError(
                f"its parametrization {self.parametrizations} cannot represent the result,"
                " so the forward pass would use a different tensor"
            )

    def assign(self, value: Tensor) -> None:
        """Make `value`, which is then the module's, what the forward uses."""
        with torch.no_grad():
            setattr(self.owner, self.attribute, value)


def effective_of(named: NamedTensor, module: nn.Module) -> tuple[str, Effective] | None:
    """Return the name and the tensor that are computed from a stored one of `module`; None for others."""
    if not isinstance(named.owner, ParametrizationList):
        return None
    path, _, stored = f".{named.name}".rpartition(".parametrizations.")
    attribute = parent(stored)
    path = path.removeprefix(".")
    return f"{path}.{attribute}".removeprefix("."), Effective(module.get_submodule(path), attribute)


def old_style(named: NamedTensor) -> str | None:
    """Return why a rule cannot fill what a hook computes another tensor from; None for all others."""
    local = last_part(named.name)
    for hook in named.owner._forward_pre_hooks.values():
        attribute = getattr(hook, "name", None) or getattr(hook, "_tensor_name", None)
        if type(hook).__module__ in _OLD_STYLE and local.startswith(f"{attribute}_"):
            return f"{type(hook).__module__} computes '{attribute}' from it before each forward"
    return None


def _name(parametrization: nn.Module) -> str:
    return type(parametrization).__name__.lstrip("_")
