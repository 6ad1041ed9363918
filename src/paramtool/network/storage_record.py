"""What is known of each storage while a constructor runs: its fills, and whether others can reach it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy

from paramtool.tensors.fills import ELEMENTWISE, Fill
from paramtool.tensors.nested_values import tensors

_SAMPLES = 64
"""Elements that are compared to find writes which torch does not see."""


_LONGEST = 16
"""Copies of copies that are remembered."""


@dataclass
class StorageState:
    """The history of one storage.

    Attributes:
        weak: keeps the number of the storage from being used again, but not its memory.
        is_ours: whether it was allocated under our eyes and never handed out.
        fills: what filled it, from a whole fill on; None where that is not known.
        dtype: of the tensor that was filled.
        copied_from: the storages that its elements came through, the first one first.
        sample: some elements as the last fill left them; None where they are not in this machine's memory.
    """

    weak: StorageWeakRef
    is_ours: bool
    fills: list[Fill] | None = None
    dtype: torch.dtype | None = None
    copied_from: tuple[int, ...] = ()
    sample: bytes | None = None


class StorageRecord:
    """The storages of all tensors that calls take or return, by their numbers."""

    def __init__(self) -> None:
        self._states: dict[int, StorageState] = {}
        self._drawn_in: dict[int, tuple[Fill, int]] = {}  # random fills, and the storages they ran on
        self._read: dict[int, Fill] = {}  # random fills whose values have been used

    def meet(self, given: object, returned: object, *, is_ours: bool) -> bool:
        """Learn of the storages of a call; return whether it made a new one.

        A storage that is seen as an argument first, such as that of an array of NumPy, is not ours.
        """
        for each in tensors(given):
            self._state(each, is_ours=False)
        is_new = False
        for each in tensors(returned):
            key = storage_number(each)
            if key and key not in self._states:
                self._state(each, is_ours=is_ours)
                is_new = True
        return is_new

    def fill(self, tensor: Tensor, fill: Fill) -> None:
        """Record a fill of the contiguous `tensor`."""
        state = self._state(tensor, is_ours=False)
        if state is None or not state.is_ours:
            return
        if fill.random:
            self._drawn_in[id(fill)] = fill, storage_number(tensor)
        if is_whole(tensor) and fill.method not in ELEMENTWISE:
            state.fills, state.dtype, state.copied_from = [fill], tensor.dtype, ()
        elif state.fills is not None and state.dtype == tensor.dtype:
            state.fills.append(fill)
        else:
            self.forget(tensor)
        _take_sample(state, tensor)

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Record that `target` now has the elements of `source`, and so its history, if both are whole."""
        state = self._state(target, is_ours=False)
        fills = self.fills_of(source)
        is_same = source.dtype == target.dtype and source.shape == target.shape
        if state is None or not (fills and is_same and state.is_ours and is_whole(target)):
            self.read(source)
            self.forget(target)
            return
        key = storage_number(source)
        state.fills, state.dtype = list(fills), target.dtype
        state.copied_from = (*self._states[key].copied_from, key)[-_LONGEST:]
        _take_sample(state, target)

    def forget(self, tensor: Tensor) -> None:
        """Record that something unknown was written to `tensor`."""
        self.read(tensor)
        state = self._state(tensor, is_ours=False)
        if state is not None:
            state.fills = None

    def hand_out(self, tensor: Tensor) -> None:
        """Record that somebody got the memory of `tensor`, who may write there at any time."""
        self.forget(tensor)
        state = self._state(tensor, is_ours=False)
        if state is not None:
            state.is_ours = False

    def read(self, tensor: Tensor) -> None:
        """Record that the values of `tensor` were used, so that none may be drawn in their place."""
        state = self._state(tensor, is_ours=False)
        for fill in (state and state.fills) or ():
            if fill.random:
                self._read[id(fill)] = fill

    def fills_of(self, tensor: Tensor) -> tuple[Fill, ...]:
        """Return what filled the whole of `tensor`; nothing where that is not known, or was used."""
        if is_lazy(tensor) or not is_whole(tensor):
            return ()
        state = self._states.get(storage_number(tensor))
        if state is None or not state.is_ours or not state.fills or state.dtype != tensor.dtype:
            return ()
        if any(id(fill) in self._read for fill in state.fills) or not _has_sample(state, tensor):
            return ()
        return tuple(state.fills)

    def origins(self, tensor: Tensor) -> Iterator[int]:
        """Yield the numbers of the storages that may name the stream of `tensor`, the best one first.

        A copy has the draws of the storage that it was copied from, as long as that still has them.
        """
        own = storage_number(tensor)
        state = self._states[own]
        for fill in state.fills or ():
            if fill.random:
                _, drawn_in = self._drawn_in[id(fill)]
                yield from (
                    key for key in (drawn_in, *state.copied_from) if _holds(self._states[key].fills, fill)
                )
                break
        yield own

    def _state(self, tensor: Tensor, *, is_ours: bool) -> StorageState | None:
        key = storage_number(tensor)
        if not key:
            return None
        if key not in self._states:
            weak = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
            self._states[key] = StorageState(weak, is_ours)
        return self._states[key]


def storage_number(tensor: Tensor) -> int:
    """Return the number of the memory of `tensor`; 0 for a tensor that has none of its own."""
    try:
        return 0 if is_lazy(tensor) else tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # a sparse one, or a wrapper around others
        return 0


def is_whole(tensor: Tensor) -> bool:
    """Return whether `tensor` is all of its storage, element after element."""
    try:
        return tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    except (NotImplementedError, RuntimeError):
        return False


def _holds(fills: Iterable[Fill] | None, fill: Fill) -> bool:
    return any(each is fill for each in fills or ())


def _take_sample(state: StorageState, tensor: Tensor) -> None:
    has_memory = tensor.device.type == "cpu"
    state.sample = _sample(tensor, state.dtype or tensor.dtype) if has_memory else None


def _has_sample(state: StorageState, tensor: Tensor) -> bool:
    return state.sample is None or state.sample == _sample(tensor, state.dtype or tensor.dtype)


def _sample(tensor: Tensor, dtype: torch.dtype) -> bytes:
    """Return some elements of the storage of `tensor`, spread over all of it, the last one included."""
    storage = tensor.untyped_storage()
    size, count = dtype.itemsize, storage.nbytes() // dtype.itemsize
    if not count:
        return b""
    memory = (ctypes.c_char * (count * size)).from_address(storage.data_ptr())
    elements = np.frombuffer(memoryview(memory).cast("B"), dtype=np.uint8).reshape(count, size)
    spread: bytes = elements[:: max(1, count // _SAMPLES)].tobytes()
    return spread + bytes(elements[-1])
