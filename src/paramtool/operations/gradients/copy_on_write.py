"""Keep the memory of a model's tensors, by a copy that is made right before the first write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from paramtool.operations.gradients.function_mode import FunctionMode, answers_itself
from paramtool.tensors.kinds import parts_of
from paramtool.tensors.nested_values import tensors
from paramtool.tensors.writes import written

Storage = torch.UntypedStorage


class CopyOnWrite(FunctionMode):
    """Sees every operation before it runs, while it is entered, and copies what that is about to write.

    What nothing writes is never copied, so that a pass over a large model takes no more memory for
    this.  A write that does not go through torch's Python interface (inside a scripted function, or in a
    compiled extension that is not a registered operator) is not seen; `is_lost` reports it if torch
    counted it.

    Args:
        those: the tensors whose memory it is; several may share it.
    """

    def __init__(self, those: Iterable[Tensor]) -> None:
        super().__init__()
        self._tensors = {id(each): each for each in those if not each.is_meta}
        self._seen = {key: (_version(each), _keys(each)) for key, each in self._tensors.items()}
        self._whole = {
            storage._cdata: storage for each in self._tensors.values() for storage in _storages(each)
        }
        self._copies: dict[int, tuple[Storage, Storage]] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        # what a class that answers for itself does with its tensors is hidden from modes
        hidden = any(map(answers_itself, types))
        for each in tensors((args, kwargs)) if hidden else written(func, args, kwargs):
            self.keep(each)
        if self.opens(func, types):
            return self.inside(func, args, kwargs)
        return func(*args, **kwargs)

    def keep(self, tensor: Tensor) -> None:
        """Copy the memory of `tensor` if it belongs to a model and has no copy yet."""
        for storage in _storages(tensor):
            if self._whole.pop(storage._cdata, None) is not None:
                self._copies[storage._cdata] = storage, storage.clone()  # type: ignore[no-untyped-call]

    def is_lost(self, tensor: Tensor) -> bool:
        """Return whether the memory of a tensor was written unseen, so that no copy can undo it."""
        version, keys = self._seen[id(tensor)]
        is_there = keys == _keys(tensor) and not all(key in self._copies for key in keys)
        return is_there and _version(tensor) != version

    def put_back(self) -> None:
        """Write back what was there."""
        for storage, copy in self._copies.values():
            if storage.device.type == "meta":  # of a FakeTensor, which holds nothing
                continue
            if storage.nbytes() != copy.nbytes():
                storage.resize_(copy.nbytes())
            if not torch.equal(_elements(storage), _elements(copy)):
                storage.copy_(copy)
        self._copies.clear()


def _storages(tensor: Tensor) -> Iterator[Storage]:
    """Yield the memory of a tensor: that of the parts of a sparse one; none of a subclass without any."""
    if is_traceable_wrapper_subclass(tensor):
        for name in tensor.__tensor_flatten__()[0]:
            part = getattr(tensor, name)
            if isinstance(part, Tensor):  # a DTensor has its mesh there too
                yield from _storages(part)
        return
    is_nested = tensor.is_nested
    is_strided = tensor.layout is torch.strided and not is_nested
    for each in [tensor] if is_strided else [] if is_nested else parts_of(tensor):
        try:
            yield each.untyped_storage()
        except (NotImplementedError, RuntimeError):
            continue


def _keys(tensor: Tensor) -> list[int]:
    return [storage._cdata for storage in _storages(tensor)]


def _elements(storage: Storage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
