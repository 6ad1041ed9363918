"""Every name of every tensor of a module, in torch's order."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.errors import BadArgument
from paramtool.name_parts import prefix
from paramtool.tensors.kinds import lack_of_values


class NamedTensor(NamedTuple):
    """One name of a tensor, the module that owns it, and what it is there.

    Attributes:
        kind: ``parameter``, ``buffer`` or ``tensor`` (a plain attribute).
        persistent: whether a buffer is in the state_dict; None for what is not a buffer.
    """

    name: str
    tensor: Tensor
    owner: nn.Module
    kind: str
    persistent: bool | None = None

    @property
    def is_stored(self) -> bool:
        """Whether a state_dict holds it."""
        return self.kind != "tensor" and self.persistent is not False


def named_tensors(module: nn.Module) -> Iterator[NamedTensor]:
    """Yield the parameters under every name, as ``named_parameters(remove_duplicate=False)`` does.

    Then come the buffers, and then the attributes that are plain tensors.
    """
    modules = [(prefix(path), each) for path, each in module.named_modules(remove_duplicate=False)]
    for start, each in modules:
        for name, parameter in each._parameters.items():
            if parameter is not None:
                yield NamedTensor(start + name, parameter, each, "parameter")
    for start, each in modules:
        for name, buffer in each._buffers.items():
            if buffer is not None:
                persistent = name not in each._non_persistent_buffers_set
                yield NamedTensor(start + name, buffer, each, "buffer", persistent)
    for start, each in modules:
        for name, value in vars(each).items():
            if isinstance(value, Tensor):
                yield NamedTensor(start + name, value, each, "tensor")


def by_tensor(named: Iterable[NamedTensor]) -> list[list[NamedTensor]]:
    """Return the names of each tensor together, in the order of the first ones."""
    groups: dict[int, list[NamedTensor]] = {}
    for each in named:
        groups.setdefault(id(each.tensor), []).append(each)
    return list(groups.values())


def stored_tensors(module: nn.Module) -> list[list[NamedTensor]]:
    """Return what a state_dict of `module` holds: each tensor once, under all of its names."""
    return by_tensor(each for each in named_tensors(module) if each.is_stored)


def check_values(module: nn.Module) -> None:
    """Raise a BadArgument where the values of a tensor of `module`, lazy ones apart, cannot be read."""
    for named in named_tensors(module):
        lack = None if is_lazy(named.tensor) else lack_of_values(named.tensor)
        if lack:
            raise BadArgument(f"'{named.name}' {lack}")


def dtype_name(tensor: Tensor) -> str:
    """Return torch's name of the dtype, without ``torch.``."""
    return str(tensor.dtype).removeprefix("torch.")


def module_types(module: nn.Module) -> dict[str, str]:
    """Return the class name of each module by its path; of one with several paths by each."""
    return {name: class_of(each).__name__ for name, each in module.named_modules(remove_duplicate=False)}


def class_of(module: nn.Module) -> type[nn.Module]:
    """Return the class of a module as it was before ``fully_shard`` put one of its own in front."""
    kind = type(module)
    fsdp = sys.modules.get("torch.distributed.fsdp")
    if fsdp is not None and fsdp.FSDPModule in kind.__bases__ and len(kind.__bases__) > 1:
        return kind.__bases__[1]
    return kind
