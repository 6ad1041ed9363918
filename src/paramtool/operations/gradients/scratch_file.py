"""Tensors on disk while a backward pass runs, read back block by block."""

from __future__ import annotations

import os
import tempfile
import weakref
from typing import IO

import torch
from torch import Tensor

_PIECE = 1 << 20
"""Elements that are written at once."""


class TensorOnDisk:
    """The elements of a flat tensor in a file; a slice is a tensor that is good until the next is read.

    Attributes:
        dtype: of the elements.
    """

    def __init__(self, file: IO[bytes], offset: int, numel: int, dtype: torch.dtype) -> None:
        self._file = file
        self._offset = offset
        self._numel = numel
        self._read = bytearray()
        self.dtype = dtype

    def numel(self) -> int:
        """Return the number of elements."""
        return self._numel

    def __getitem__(self, where: slice) -> Tensor:
        start, stop, _ = where.indices(self._numel)
        size = (stop - start) * self.dtype.itemsize
        if len(self._read) < size:  # which is used again: each slice is good until the next
            self._read = bytearray(size)
        into = memoryview(self._read)[:size]
        done = 0
        while done < size:
            count = os.preadv(
                self._file.fileno(), [into[done:]], self._offset + start * self.dtype.itemsize + done
            )
            if not count:
                raise OSError(f"a scratch file ended after {done} bytes of {size}")
            done += count
        if not size:
            return torch.empty(0, dtype=self.dtype)
        return torch.frombuffer(self._read, dtype=self.dtype, count=stop - start)


class ScratchFile:
    """A file without a name, which the system removes with the process."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._end = 0

    def put(self, flat: Tensor) -> TensorOnDisk | None:
        """Write a flat tensor of real numbers; None if there is no room for it."""
        start = self._end
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="paramtool-")  # noqa: SIM115 - lives with self
                weakref.finalize(self, self._file.close)
            for each in torch.split(flat, _PIECE):
                written = each.detach().cpu().contiguous().view(torch.uint8).numpy()
                self._end += _write(self._file.fileno(), written.data, self._end)
        except OSError:
            self._end = start
            return None
        return TensorOnDisk(self._file, start, flat.numel(), flat.dtype)


def _write(file: int, data: memoryview, offset: int) -> int:
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], offset + done)
    return done
