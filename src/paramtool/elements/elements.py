"""The elements of named tensors block by block, wherever they are: in memory, or in files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from paramtool.elements.dtypes import Array, Dtype

BLOCK = 1 << 20
"""Elements in a block: so many that each call of NumPy takes a while, in which another thread can run.

With an eighth of that, two threads took 1.6 times as long: they wait for the interpreter between calls.
"""

CHUNK = 1 << 22
"""Elements that one thread works on at a time, in whole blocks; sums depend on it, not on the threads."""

EDGE = 3
"""Elements that torch prints at each end of a long row."""


class Elements(Protocol):
    """Gives the elements of tensors by name, in bounded memory if possible; from any thread."""

    def dtype(self, name: str) -> Dtype:
        """Return what the bits of the elements mean.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes."""

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """Yield the elements from `start` to `stop` in row-major order, as flat blocks.

        They are of NumPy's dtype ``dtype(name).held``.
        Every block but the last has `BLOCK` elements.  A block is good until the next one is asked
        for, and is not to be written to.

        Raises:
            ParamtoolError: if they cannot be read.
        """

    def outline(self, name: str) -> Array:
        """Return the tensor with at most 7 of each dimension: the first 4 and the last 3.

        Raises:
            ParamtoolError: if they cannot be read.
        """


def outline_indexes(shape: tuple[int, ...]) -> list[list[int]]:
    """Return the indexes of each dimension that an outline has."""
    most = 2 * EDGE + 1
    return [
        [*range(size)] if size <= most else [*range(EDGE + 1), *range(size - EDGE, size)] for size in shape
    ]
