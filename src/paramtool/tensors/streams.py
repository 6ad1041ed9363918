"""The door for randomness: a stream of random numbers for every parameter, by its name.

A stream depends on the seed and the name alone, so that adding, moving or renaming another layer
changes nothing here; neither do threads, nor the order in which tensors are filled.  A large tensor
is drawn in blocks, each a stream of its own.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 20
"""Elements that are drawn from one stream; part of what the values are."""

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
    key = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()
    words = hashlib.shake_256(key + struct.pack("<Q", block)).digest(4 * _WORDS)
    state = bytearray(_template())
    _HEAD.pack_into(state, 0, int.from_bytes(key[:8], "little"), 1, 1, 0)
    held = np.frombuffer(state, "<u8", _WORDS, _HEAD.size)
    held[:] = np.frombuffer(words, "<u4")
    generator = torch.Generator()
    generator.set_state(torch.frombuffer(state, dtype=torch.uint8))
    return generator


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
