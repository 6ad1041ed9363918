"""The door for randomness: a stream of random numbers for every parameter, by its name.

A stream depends on the seed and the name alone, so that adding, moving or renaming another layer
changes nothing here; neither do threads, nor the order in which tensors are filled.  A large tensor
is drawn in blocks, each a stream of its own.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 20
"""Elements that are drawn from one stream; part of what the values are."""

Draws: TypeAlias = Callable[[int, str, int], torch.Generator]
"""Returns the generator of a stream by seed, name and block."""

_WORDS = 624  # of the Mersenne Twister's state
_HEAD = struct.Struct("<Qiiq")  # initial seed, numbers left before the next twist, seeded, next number


def stream(seed: int, name: str, block: int = 0) -> torch.Generator:
    """Return the generator of one block of the parameter `name`.

    ``Generator.manual_seed`` keeps 32 bits of a seed on the CPU, so that of 70,000 blocks two would
    probably be alike.  Here the whole state is set, from SHAKE-256 of (SHA-256 of seed and name,
    block).

    Args:
        seed: the seed of the whole initialization.
        name: the first name of the parameter.
        block: which `BLOCK` elements of it, counted from 0.
    """
    return OneStream()(seed, name, block)


class OneStream:
    """Sets one generator to one stream after the other: for many small tensors, at half the cost.

    The generator that a call returns is good until the next call.
    """

    def __init__(self) -> None:
        self._generator = torch.Generator()
        self._state = bytearray(_template())
        self._words = np.frombuffer(self._state, "<u8", _WORDS, _HEAD.size)
        self._tensor = torch.frombuffer(self._state, dtype=torch.uint8)

    def __call__(self, seed: int, name: str, block: int = 0) -> torch.Generator:
        """Return the generator, set to the stream that `stream` returns for the same arguments."""
        key = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()
        words = hashlib.shake_256(key + block.to_bytes(8, "little")).digest(4 * _WORDS)
        _HEAD.pack_into(self._state, 0, int.from_bytes(key[:8], "little"), 1, 1, 0)
        self._words[:] = np.frombuffer(words, "<u4")
        self._generator.set_state(self._tensor)
        return self._generator


@cache
def _template() -> bytes:
    """Return the state of a fresh generator: what follows the words says that no normal is kept back."""
    state = bytes(torch.Generator().get_state().tolist())
    if len(state) < _HEAD.size + 8 * _WORDS:
        raise RuntimeError(f"torch {torch.__version__} keeps the state of its generator in a different form")
    return state


def blocks(tensor: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the blocks of a contiguous tensor as flat views, with their numbers."""
    flat = tensor.view(-1)
    for number, start in enumerate(range(0, flat.numel(), BLOCK)):
        yield number, flat[start : start + BLOCK]
