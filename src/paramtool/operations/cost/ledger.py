"""What each module computes and keeps, by the path that its caller knows it under."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn

from paramtool.operations.cost.live_memory import Memory, key_of, memory_of
from paramtool.operations.gradients.calls import Call, Calls
from paramtool.tensors.kinds import nbytes_of, shape_of
from paramtool.tensors.nested_values import tensors


class ModuleCalls(Calls):
    """Follows the calls of modules, and keeps how often and with what shape each path returns.

    Args:
        root: the module whose names these are.

    Attributes:
        calls: how often each path was called.
        shapes: of the first tensor that the first call of each path returned.
    """

    def __init__(self, root: nn.Module) -> None:
        super().__init__(root, self._returned)
        self.calls: Counter[str] = Counter()
        self.shapes: dict[str, tuple[int, ...] | None] = {}

    def where(self) -> str:
        """Return the path of the module that is running."""
        return self.current.path

    def _returned(self, call: Call, _module: nn.Module, output: Any) -> None:
        self.calls[call.path] += 1
        first = next(iter(tensors(output)), None)
        self.shapes.setdefault(call.path, None if first is None else shape_of(first))


class Saved:
    """Adds up what autograd saves: give `pack` to ``saved_tensors_hooks``.

    Memory counts once, in the module that saved it first; nothing of it is freed meanwhile.

    Args:
        own: the memory of parameters and buffers, which does not count.
        where: returns the path of the module that is running.

    Attributes:
        nbytes: of each path.
    """

    def __init__(self, own: Iterable[int], where: Callable[[], str]) -> None:
        self._own = frozenset(own)
        self._where = where
        self._held: dict[int, Memory | Tensor] = {}
        self.nbytes: Counter[str] = Counter()

    def pack(self, tensor: Tensor) -> Tensor:
        """Count a tensor that is saved."""
        memory = memory_of(tensor)
        key = id(tensor) if memory is None else key_of(memory)
        if key not in self._own and key not in self._held:
            self._held[key] = tensor if memory is None else memory
            self.nbytes[self._where()] += _nbytes(tensor) if memory is None else memory.nbytes()
        return tensor


def _nbytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor without memory of its own; of a sparse one those of its parts."""
    known = nbytes_of(tensor)
    return tensor.numel() * tensor.element_size() if known is None else known
