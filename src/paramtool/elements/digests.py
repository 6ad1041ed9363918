"""The SHA-256 of elements: distinguishes tensors by their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from paramtool.elements.dtypes import Array, memory_of


def digest(blocks: Iterable[Array]) -> str:
    """Return the SHA-256 of elements in row-major order, as little-endian machines hold them."""
    found = hashlib.sha256()
    for block in blocks:
        found.update(memory_of(block))
    return found.hexdigest()
