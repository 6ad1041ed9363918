"""Compare the elements of two models, block by block."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np

from paramtool import progress
from paramtool.elements.casts import cast
from paramtool.elements.digests import digest
from paramtool.elements.distance import Distance
from paramtool.elements.dtypes import Array, bits
from paramtool.elements.elements import CHUNK, Elements
from paramtool.elements.scratch import Scratch
from paramtool.elements.threads import run
from paramtool.records.difference import ValueChange


class ChangedValues:
    """Compares the elements of A with those of B, as a load of A into B would leave them.

    A's elements are cast to the dtype of B's.  They are close as ``torch.allclose(a, b, rtol, atol,
    equal_nan=True)`` has it: |a - b| ≤ atol + rtol·|b|; NaN is equal to NaN.

    Args:
        a, b: the elements of both.
        atol: absolute tolerance.
        rtol: relative tolerance.
        jobs: threads; no number depends on them.
    """

    def __init__(
        self, a: Elements, b: Elements, *, atol: float = 0.0, rtol: float = 0.0, jobs: int = 1
    ) -> None:
        self._a = a
        self._b = b
        self._atol = atol
        self._rtol = rtol
        self._jobs = jobs

    def digests(self, a: Collection[str], b: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the SHA-256 of the named tensors of A and of B.

        Raises:
            ParamtoolError: if elements cannot be read.
        """
        return self._digests(self._a, a), self._digests(self._b, b)

    def change(self, a: str, b: str) -> ValueChange | None:
        """Return how far tensor `b` in B is from `a` in A, of the same shape; None if close.

        Raises:
            ParamtoolError: if elements cannot be read, or torch has no cast from one dtype to the other.
        """
        if self._are_same(a, b):
            return None
        count = math.prod(self._b.shape(b))
        parts: dict[int, Distance] = {}

        def work(start: int) -> None:
            parts[start] = self._distance(a, b, start)

        run(iter(range(0, count, CHUNK)), work, min(self._jobs, -(-count // CHUNK)))
        whole, *others = (parts[start] for start in sorted(parts))
        for part in others:
            whole.merge(part)
        return whole.result() if whole.differing else None

    def _are_same(self, a: str, b: str) -> bool:
        """Return whether dtypes and bytes are equal, reading up to the first block that differs."""
        if self._a.dtype(a) != self._b.dtype(b):
            return not math.prod(self._b.shape(b))
        return all(_same_bytes(was, now) for was, now in self._blocks(a, b, 0, None))

    def _distance(self, a: str, b: str, start: int) -> Distance:
        old, new = self._a.dtype(a), self._b.dtype(b)
        found = Distance(new, self._atol, self._rtol)
        scratch = Scratch()
        for was, now in self._blocks(a, b, start, start + CHUNK):
            found.take(cast(was, old, new, scratch), now)
        return found

    def _blocks(self, a: str, b: str, start: int, stop: int | None) -> Iterator[tuple[Array, Array]]:
        return zip(self._a.blocks(a, start, stop), self._b.blocks(b, start, stop), strict=True)

    def _digests(self, elements: Elements, names: Collection[str]) -> dict[str, str]:
        found: dict[str, str] = {}

        def work(name: str) -> None:
            found[name] = digest(elements.blocks(name))
            advance(math.prod(elements.shape(name)))

        total = sum(math.prod(elements.shape(name)) for name in names)
        with progress.work("digests", total) as advance:
            run(iter(names), work, self._jobs)
        return {name: found[name] for name in names}


def _same_bytes(was: Array, now: Array) -> bool:
    return bool(np.array_equal(bits(was), bits(now)))
