"""Every name of every tensor of a module, in torch's order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn


class NamedTensor(NamedTuple):
    """One name of a tensor, the module that owns it, and what it is there.

    Attributes:
        kind: ``parameter``, ``buffer`` or ``tensor`` (a plain attribute).
        persistent: whether a buffer is in the state_dict; None for what is no buffer.
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
    modules = [
        (f"{path}." if path else "", each) for path, each in module.named_modules(remove_duplicate=False)
    ]
    for prefix, each in modules:
        for name, parameter in each._parameters.items():
            if parameter is not None:
                yield NamedTensor(prefix + name, parameter, each, "parameter")
    for prefix, each in modules:
        for name, buffer in each._buffers.items():
            if buffer is not None:
                persistent = name not in each._non_persistent_buffers_set
                yield NamedTensor(prefix + name, buffer, each, "buffer", persistent)
    for prefix, each in modules:
        for name, value in vars(each).items():
            if isinstance(value, Tensor):
                yield NamedTensor(prefix + name, value, each, "tensor")


def dtype_name(tensor: Tensor) -> str:
    """Return torch's name of the dtype, without ``torch.``."""
    return str(tensor.dtype).removeprefix("torch.")
