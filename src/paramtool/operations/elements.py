"""The elements of named tensors block by block, wherever they are: in a module, or in files."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.files.checkpoint import Checkpoint, Stored, opened, read_into
from paramtool.named_tensors import named_tensors

BLOCK = 1 << 20
"""Elements in a block."""


class Elements(Protocol):
    """Gives the elements of tensors by name, in bounded memory where that is possible."""

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield the elements of `name` in row-major order, as flat blocks in the tensor's own dtype.

        A block is good until the next one is asked for, and is not to be written to.
        """


class OfModule:
    """The elements of the parameters, buffers and plain tensors of a module."""

    def __init__(self, module: nn.Module) -> None:
        self._tensors = {named.name: named.tensor.detach() for named in named_tensors(module)}

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield slices of the tensor itself; of copies of its parts where it is not contiguous."""
        yield from _flat(self._tensors[name])


class OfCheckpoint:
    """The elements of the tensors in a checkpoint's files, read into one buffer that is used again."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._tensors = checkpoint.by_name

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield blocks that are read one after the other.

        Raises:
            ParamtoolError: where the file cannot be read.
        """
        stored = self._tensors[name]
        if stored.strides is not None:
            raise ParamtoolError(f"'{name}' of {stored.path} is a view whose elements are apart")
        yield from _blocks(stored)


def _flat(tensor: Tensor) -> Iterator[Tensor]:
    if tensor.is_contiguous() or tensor.numel() <= BLOCK:
        yield from torch.split(tensor.reshape(-1), BLOCK)
    else:
        rows = max(1, BLOCK * len(tensor) // tensor.numel())
        for part in torch.split(tensor, rows) if len(tensor) > 1 else tensor:
            yield from _flat(part)


def _blocks(stored: Stored) -> Iterator[Tensor]:
    dtype = getattr(torch, stored.dtype)
    room = torch.empty(min(BLOCK * dtype.itemsize, stored.nbytes), dtype=torch.uint8)
    with opened(stored.path) as descriptor:
        for start in range(0, stored.nbytes, max(1, room.numel())):
            part = room[: min(room.numel(), stored.nbytes - start)]
            read_into(descriptor, stored.path, stored.position + start, as_bytes(part))
            yield part.view(dtype)


def digest(elements: Elements, name: str) -> str:
    """Return the SHA-256 of the elements in row-major order, as little-endian machines hold them."""
    found = hashlib.sha256()
    for block in elements.blocks(name):
        found.update(as_bytes(block.contiguous()))
    return found.hexdigest()


def as_bytes(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor, without a copy and without NumPy; it must outlive this."""
    return memoryview((ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())).cast("B")
