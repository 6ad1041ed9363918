"""The elements of named tensors block by block, wherever they are: in a module, or in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from operator import mul
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint, Stored, opened, read_into
from paramtool.tensors.memory import as_bytes
from paramtool.tensors.named_tensors import named_tensors
from paramtool.tensors.pieces import piece_blocks, piece_outline
from paramtool.tensors.repeated import refusal
from paramtool.tensors.strided import Region, regions

BLOCK = 1 << 20
"""Elements in a block."""

EDGE = 3
"""Elements that torch prints at each end of a long row."""


class Elements(Protocol):
    """Gives the elements of tensors by name, in bounded memory where that is possible."""

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield the elements of `name` in row-major order, as flat blocks in the tensor's own dtype.

        Every block but the last has `BLOCK` elements.  A block is good until the next one is asked
        for, and is not to be written to.
        """

    def outline(self, name: str) -> Tensor:
        """Return the tensor with at most 7 of each dimension: the first 4 and the last 3."""


class ModuleElements:
    """The elements of the parameters, buffers and plain tensors of a module; lazy ones have none."""

    def __init__(self, module: nn.Module) -> None:
        named = (each for each in named_tensors(module) if not is_lazy(each.tensor))
        self._tensors = {each.name: each.tensor.detach() for each in named}

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield slices of the tensor itself; of copies of its parts where it is not contiguous."""
        return _flat(self._tensors[name])

    def outline(self, name: str) -> Tensor:
        """Return a copy of what is at the edges."""
        tensor = self._tensors[name]
        for dimension, kept in enumerate(_kept(tuple(tensor.shape))):
            tensor = tensor.index_select(dimension, torch.tensor(kept))
        return tensor


class CheckpointElements:
    """The elements of the tensors in a checkpoint's files, read into one buffer that is used again."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._tensors = checkpoint.by_name
        self._refusal = refusal(checkpoint)

    def blocks(self, name: str) -> Iterator[Tensor]:
        """Yield blocks that are read one after the other.

        Raises:
            ParamtoolError: where the file cannot be read, or says too often what it has but once; or for
                a tensor that has no elements there.
        """
        stored = self._readable(name)
        if self._refusal is not None:
            raise ParamtoolError(self._refusal)
        if stored.pieces:
            return piece_blocks(stored, dtype_of(stored), BLOCK)
        return _blocks(stored) if stored.strides is None else _strided_blocks(stored)

    def outline(self, name: str) -> Tensor:
        """Read what is at the edges, element by element.

        Raises:
            ParamtoolError: where the file cannot be read.
        """
        stored = self._readable(name)
        kept = _kept(stored.shape)
        if stored.pieces:
            return piece_outline(stored, dtype_of(stored), kept)
        strides = stored.strides or _row_major(stored.shape)
        offsets = [sum(map(mul, indexes, strides)) for indexes in product(*kept)]
        dtype = dtype_of(stored)
        found = torch.empty(len(offsets), dtype=dtype)
        memory = as_bytes(found)
        with opened(stored.path) as descriptor:
            for number, offset in enumerate(offsets):
                room = memory[number * dtype.itemsize : (number + 1) * dtype.itemsize]
                read_into(descriptor, stored.path, stored.position + offset * dtype.itemsize, room)
        return found.reshape([len(each) for each in kept])

    def _readable(self, name: str) -> Stored:
        stored = self._tensors[name]
        if stored.missing is not None:
            raise ParamtoolError(f"cannot read the values of '{name}' in {stored.path}: {stored.missing}")
        return stored


def dtype_of(stored: Stored) -> torch.dtype:
    """Return the dtype itself.

    Raises:
        ParamtoolError: where torch does not have it.
    """
    found = getattr(torch, stored.dtype, None)
    if not isinstance(found, torch.dtype):
        raise ParamtoolError(f"'{stored.name}' is {stored.dtype}, a dtype that torch does not have")
    return found


def _flat(tensor: Tensor) -> Iterator[Tensor]:
    if tensor.is_contiguous() or tensor.numel() <= BLOCK:
        return iter(torch.split(tensor.reshape(-1), BLOCK))
    return _packed(_parts(tensor), torch.empty(BLOCK, dtype=tensor.dtype))


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    """Yield flat copies of parts of a tensor, each of about a block at the most."""
    if tensor.numel() <= BLOCK:
        yield tensor.reshape(-1)
        return
    rows = max(1, BLOCK * len(tensor) // tensor.numel())
    for part in torch.split(tensor, rows) if len(tensor) > 1 else tensor:
        yield from _parts(part)


def _packed(parts: Iterable[Tensor], room: Tensor) -> Iterator[Tensor]:
    """Yield the elements of flat `parts` in blocks that fill `room`, the last one apart."""
    filled = 0
    for part in parts:
        flat = part
        while flat.numel():
            taken = min(flat.numel(), room.numel() - filled)
            room[filled : filled + taken] = flat[:taken]
            filled, flat = filled + taken, flat[taken:]
            if filled == room.numel():
                yield room
                filled = 0
    if filled:
        yield room[:filled]


def _blocks(stored: Stored) -> Iterator[Tensor]:
    dtype = dtype_of(stored)
    room = torch.empty(min(BLOCK * dtype.itemsize, stored.nbytes), dtype=torch.uint8)
    memory = as_bytes(room)
    with opened(stored.path) as descriptor:
        for start in range(0, stored.nbytes, max(1, room.numel())):
            size = min(room.numel(), stored.nbytes - start)
            read_into(descriptor, stored.path, stored.position + start, memory[:size])
            yield room[:size].view(dtype)


def _strided_blocks(stored: Stored) -> Iterator[Tensor]:
    """Yield the elements of a view that are apart in the file, gathered into blocks of the usual size."""
    dtype = dtype_of(stored)
    whole = Region(0, stored.shape, stored.strides or ())
    count = stored.nbytes // dtype.itemsize
    room = torch.empty(min(BLOCK, count), dtype=dtype)
    with opened(stored.path) as descriptor:

        def read(offset: int, count: int) -> Tensor:
            span = torch.empty(count, dtype=dtype)
            read_into(descriptor, stored.path, stored.position + offset * dtype.itemsize, as_bytes(span))
            return span

        found = regions(whole, BLOCK)
        yield from _packed((part.gather(read).reshape(-1) for part in found), room)


def _kept(shape: tuple[int, ...]) -> list[list[int]]:
    """Return the indexes of each dimension that an outline keeps."""
    most = 2 * EDGE + 1
    return [
        [*range(size)] if size <= most else [*range(EDGE + 1), *range(size - EDGE, size)] for size in shape
    ]


def _row_major(shape: tuple[int, ...]) -> Sequence[int]:
    strides = [1]
    for size in shape[:0:-1]:
        strides.insert(0, strides[0] * size)
    return strides[: len(shape)]
