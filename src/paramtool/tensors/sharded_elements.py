"""The elements of sharded tensors as one process would have them: every process gets all, block by block.

It is for what needs the order of the elements, such as a digest.  Each block takes an exchange, so all
processes read the same blocks in the same order, each in one thread.  What follows from them is then the same
everywhere, and so is what is read next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parameter import is_lazy

from paramtool.elements.dtypes import Array, Dtype, dtype_of
from paramtool.elements.elements import BLOCK, Elements, outline_indexes
from paramtool.tensors.arrays import array_of
from paramtool.tensors.held_parts import HeldParts, held_parts
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.process_group import gathered, largest


class ShardedElements:
    """The elements of tensors that processes hold together, by name.

    Args:
        tensors: the same names, shapes and dtypes in every process; those that are not sharded are read as
            process 0 holds them, and lazy ones are left out, as is what is not a tensor.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = {
            name: each for name, each in tensors.items() if isinstance(each, Tensor) and not is_lazy(each)
        }

    @cached_property
    def parts(self) -> HeldParts:
        """What each process holds, found out when it is first needed: all processes ask together."""
        return held_parts(self.tensors)

    def prepare(self) -> None:
        """Find out what each process holds; all do so together, with one exchange, and only once.

        Raises:
            ParamtoolError: in every process, if one has other tensors, or some without values.
        """
        assert self.parts is not None

    def dtype(self, name: str) -> Dtype:
        """Return what the bits of the elements mean.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        return dtype_of(dtype_name(self.tensors[name]), f"'{name}'")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes of the whole."""
        return tuple(self.tensors[name].shape)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """Yield the elements from `start` to `stop`; all processes ask for the same.

        Raises:
            ParamtoolError: in every process, if one cannot read what it holds.
        """
        count = math.prod(self.shape(name))
        end = count if stop is None else min(stop, count)
        for first, last in pairwise([*range(start, end, BLOCK), end]):
            yield self._block(name, first, last)

    def outline(self, name: str) -> Array:
        """Return the edges.

        Raises:
            ParamtoolError: in every process, if one cannot read what it holds.
        """
        shape = self.shape(name)
        kept = outline_indexes(shape)
        numbers = torch.arange(1)
        for indexes, size in zip(kept, shape, strict=True):
            numbers = (numbers[:, None] * size + torch.tensor(indexes, dtype=torch.int64)).reshape(-1)
        return self._whole(name, numbers).reshape([len(indexes) for indexes in kept])

    def _block(self, name: str, first: int, last: int) -> Array:
        """Return the elements from the number `first` to `last`, wherever they are."""
        part = self.parts.all[name]
        if part.run is None or not part.local.is_contiguous():
            return self._whole(name, torch.arange(first, last))
        start, stop = part.run

        def own(found: Array) -> None:
            begin, end = max(first, start), min(last, stop)
            if begin < end and name in self.parts.first:
                some = part.local.reshape(-1)[begin - start : end - start]
                found[begin - first : end - first] = array_of(some)[0]

        return _exchanged(own, last - first, self.dtype(name))

    def _whole(self, name: str, numbers: Tensor) -> Array:
        """Return the elements with these numbers, wherever they are."""
        dtype, parts = self.dtype(name), self.parts

        def own(found: Array) -> None:
            if name in parts.first:
                part = parts.all[name]
                here, positions = part.positions(numbers)
                flat = part.local.reshape(-1)[positions.to(part.local.device)]
                found[here.numpy()] = array_of(flat)[0]

        return _exchanged(own, len(numbers), dtype)


class RelayedElements:
    """Elements that process 0 reads for all, so that what follows from them is the same everywhere."""

    def __init__(self, inner: Elements) -> None:
        self._inner = inner

    def dtype(self, name: str) -> Dtype:
        """Return what the bits of the elements mean.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        return self._inner.dtype(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes."""
        return self._inner.shape(name)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """Yield the elements from `start` to `stop`; all processes ask for the same.

        Raises:
            ParamtoolError: in every process, if process 0 cannot read them.
        """
        dtype, count = self.dtype(name), math.prod(self.shape(name))
        end = count if stop is None else min(stop, count)
        blocks = self._inner.blocks(name, start, stop) if dist.get_rank() == 0 else iter(())

        def own(found: Array) -> None:
            for block in blocks:
                found[:] = block
                return

        for first, last in pairwise([*range(start, end, BLOCK), end]):
            yield _exchanged(own, last - first, dtype)

    def outline(self, name: str) -> Array:
        """Return the edges.

        Raises:
            ParamtoolError: in every process, if process 0 cannot read them.
        """
        sizes = [len(indexes) for indexes in outline_indexes(self.shape(name))]

        def own(found: Array) -> None:
            if dist.get_rank() == 0:
                found[:] = self._inner.outline(name).reshape(-1)

        return _exchanged(own, math.prod(sizes), self.dtype(name)).reshape(sizes)


def _exchanged(own: Callable[[Array], None], count: int, dtype: Dtype) -> Array:
    """Return elements, of which `own` sets those that this process has, and leaves the others zero.

    Raises:
        ParamtoolError: in every process, if `own` raises in one.
    """
    room = np.zeros(count * dtype.itemsize + 1, np.uint8)  # the last byte says that something is wrong
    error: Exception | None = None
    try:
        own(room[:-1].view(dtype.held))
    except Exception as raised:
        error = raised
        room[-1] = 1
    found: Array = largest(torch.from_numpy(room)).numpy()
    if found[-1]:
        gathered(lambda: _raise(error))
    return found[:-1].view(dtype.held)


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
