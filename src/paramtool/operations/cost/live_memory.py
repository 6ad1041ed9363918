"""How many bytes of tensors are alive at once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from paramtool.tensors.nested_values import tensors

Memory = torch.UntypedStorage


def memory_of(tensor: Tensor) -> Memory | None:
    """Return the memory of a tensor; None for one that has none of its own, such as a sparse one."""
    with torch._C.DisableTorchFunction():
        try:
            return tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            return None


def key_of(memory: Memory) -> int:
    """Return a number that no other memory has while this one is alive."""
    return int(memory._cdata)


class LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the memory that operations return, until it is freed.

    What an operation needs while it runs is not seen.

    Args:
        own: the memory of parameters and buffers, which does not count.

    Attributes:
        most: the bytes that were alive at once, at most.
    """

    supports_higher_order_operators = True

    def __init__(self, own: Iterable[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = set(own)
        self._nbytes = 0
        self.most = 0

    def add(self, given: Iterable[Tensor]) -> None:
        """Count tensors that are alive, such as inputs, and those that share their memory once."""
        for each in given:
            memory = memory_of(each)
            if memory is None or key_of(memory) in self._known:
                continue
            key, nbytes = key_of(memory), memory.nbytes()
            self._known.add(key)
            self._nbytes += nbytes
            weakref.finalize(memory, self._free, key, nbytes).atexit = False
        self.most = max(self.most, self._nbytes)

    def _free(self, key: int, nbytes: int) -> None:
        self._known.discard(key)
        self._nbytes -= nbytes

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.add(tensors(result))
        return result
