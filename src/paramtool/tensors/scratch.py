"""Memory that is used again: the first touch of a large allocation costs more than to fill it."""

from __future__ import annotations

import torch
from torch import Tensor


def drawn_in(dtype: torch.dtype) -> torch.dtype:
    """Return what the random numbers of a tensor are drawn in, so that its precision changes none."""
    return torch.complex64 if dtype.is_complex else torch.float32


class Scratch:
    """Room for one flat tensor at a time; each thread has its own."""

    def __init__(self) -> None:
        self._room = torch.empty(0, dtype=torch.uint8, device="cpu")

    def take(self, numel: int, dtype: torch.dtype) -> Tensor:
        """Return a tensor of unknown values, which is good until the next is taken."""
        size = numel * dtype.itemsize
        if self._room.numel() < size:
            self._room = torch.empty(size, dtype=torch.uint8, device="cpu")
        return self._room[:size].view(dtype)

    def draw_for(self, block: Tensor) -> Tensor:
        """Return what to draw the random numbers of `block` in: itself, or as many elements to cast."""
        dtype = drawn_in(block.dtype)
        is_fit = block.dtype == dtype and block.device.type == "cpu"
        return block if is_fit else self.take(block.numel(), dtype)
