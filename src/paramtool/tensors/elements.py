"""The elements of live tensors as blocks of NumPy arrays, and those of files as blocks of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.elements.dtypes import Array, Dtype, dtype_of
from paramtool.elements.elements import BLOCK, outline_indexes
from paramtool.elements.files import FileElements
from paramtool.elements.strided import boxes, packed
from paramtool.errors import NoValues, ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint, Stored
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of, tensor_of
from paramtool.tensors.kinds import dense, lack_of_values
from paramtool.tensors.named_tensors import dtype_name, named_tensors


class TensorElements:
    """The elements of live tensors by name."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: each.detach() for name, each in tensors.items() if isinstance(each, Tensor)}

    def dtype(self, name: str) -> Dtype:
        """Return what the bits of the elements mean.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        return dtype_of(dtype_name(self._tensors[name]), f"'{name}'" if name else "a tensor")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes."""
        return tuple(self._tensors[name].shape)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """Yield the tensor's own memory; copies of its parts if it is not contiguous.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        tensor = self._readable(name)
        end = tensor.numel() if stop is None else min(stop, tensor.numel())
        if tensor.is_contiguous() or tensor.numel() <= BLOCK:
            flat = tensor.reshape(-1)
            for first in range(start, end, BLOCK):
                yield array_of(flat[first : min(first + BLOCK, end)])[0]
            return
        parts = (
            (box.first, array_of(tensor[box.slices].reshape(-1))[0])
            for box in boxes(tuple(tensor.shape), BLOCK, start)
        )
        yield from packed(parts, start, end, np.empty(BLOCK, self.dtype(name).held))

    def _readable(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        lack = lack_of_values(tensor)
        if lack:
            raise NoValues(f"'{name}' {lack}" if name else f"a tensor {lack}")
        return dense(tensor)

    def outline(self, name: str) -> Array:
        """Return a copy of the edges.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        tensor = self._readable(name)
        for dimension, kept in enumerate(outline_indexes(tuple(tensor.shape))):
            tensor = tensor.index_select(
                dimension, torch.tensor(kept, dtype=torch.int64, device=tensor.device)
            )
        return array_of(tensor.reshape(-1))[0].reshape(tensor.shape)


class ModuleElements(TensorElements):
    """The elements of the tensors of a module or a state_dict, by their names; lazy ones have none."""

    def __init__(self, module: nn.Module | Mapping[str, Tensor]) -> None:
        if isinstance(module, nn.Module):
            module = {each.name: each.tensor for each in named_tensors(module)}
        super().__init__({name: tensor for name, tensor in module.items() if not is_lazy(tensor)})


class StoredTensors:
    """The elements of a checkpoint's tensors as tensors of torch, in the blocks of random streams."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._stored = checkpoint.by_name
        self._elements = FileElements(checkpoint, block=streams.BLOCK)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """Yield flat blocks of `streams.BLOCK` elements from `start` on; each is good until the next.

        Raises:
            ParamtoolError: if the elements cannot be read.
        """
        dtype = torch_dtype(self._stored[name])
        return (tensor_of(block, dtype) for block in self._elements.blocks(name, start, stop))


def whole(checkpoint: Checkpoint, stored: Stored) -> Tensor:
    """Return a tensor of a checkpoint, all of it in memory; without values on the meta device.

    Raises:
        ParamtoolError: if the elements cannot be read, or torch does not have the dtype.
    """
    found = torch.empty(stored.shape, dtype=torch_dtype(stored))
    if found.is_meta:
        return found
    place = 0
    for block in StoredTensors(checkpoint).blocks(stored.name):
        found.view(-1)[place : place + block.numel()] = block
        place += block.numel()
    return found


def torch_dtype(stored: Stored) -> torch.dtype:
    """Return the dtype itself.

    Raises:
        ParamtoolError: if torch does not have it.
    """
    found = getattr(torch, stored.dtype, None)
    if not isinstance(found, torch.dtype):
        raise ParamtoolError(f"'{stored.name}' is {stored.dtype}, a dtype that torch does not have")
    return found
