"""Compare the elements of two models, block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import takewhile

import numpy as np

from paramtool import progress
from paramtool.elements.casts import cast
from paramtool.elements.digests import digest
from paramtool.elements.distance import Distance
from paramtool.elements.dtypes import Array, bits
from paramtool.elements.elements import CHUNK, Elements
from paramtool.elements.scratch import Scratch
from paramtool.elements.threads import run
from paramtool.errors import NoValues
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

    Attributes:
        left_out: why the elements of a tensor were not compared, by its name in B.
        without_spectrum: None, since nobody asked for singular values.
    """

    def __init__(
        self, a: Elements, b: Elements, *, atol: float = 0.0, rtol: float = 0.0, jobs: int = 1
    ) -> None:
        self._a = a
        self._b = b
        self._atol = atol
        self._rtol = rtol
        self._jobs = jobs
        self.left_out: dict[str, str] = {}
        self.without_spectrum: dict[str, str] | None = None

    def digests(self, a: Collection[str], b: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the SHA-256 of the named tensors of A and of B, but of those without values.

        Raises:
            ParamtoolError: if elements cannot be read.
        """
        return self._digests(self._a, a), self._digests(self._b, b)

    def change(self, a: str, b: str) -> ValueChange | None:
        """Return how far tensor `b` in B is from `a` in A, of the same shape; None if close, or left out.

        Raises:
            ParamtoolError: if elements cannot be read, or torch has no cast from one dtype to the other.
        """
        try:
            return self._change(a, b)
        except NoValues as error:
            self.left_out[b] = error.message
            return None

    def announce(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Hear which tensors will be compared; each is when it is asked for."""

    def _change(self, a: str, b: str) -> ValueChange | None:
        if self.are_same(a, b):
            return None
        whole = self.distance(a, b)
        return whole.result() if whole.differing else None

    def distance(self, a: str, b: str) -> Distance:
        """Return how far tensor `b` in B is from `a` in A, of the same shape.

        Raises:
            ParamtoolError: if elements cannot be read, or torch has no cast from one dtype to the other.
        """
        count = math.prod(self._b.shape(b))
        parts: dict[int, Distance] = {}

        def work(start: int) -> None:
            parts[start] = self._distance(a, b, start)

        self._run(iter(range(0, max(1, count), CHUNK)), work, max(1, count))
        whole, *others = (parts[start] for start in sorted(parts))
        for part in others:
            whole.merge(part)
        return whole

    def are_same(self, a: str, b: str) -> bool:
        """Return whether dtypes and bytes are equal; no chunk is begun once a block differs."""
        count = math.prod(self._b.shape(b))
        if self._a.dtype(a) != self._b.dtype(b):
            return not count
        differing: list[int] = []

        def work(start: int) -> None:
            if not all(_same_bytes(*both) for both in self._blocks(a, b, start, start + CHUNK)):
                differing.append(start)

        self._run(takewhile(lambda _: not differing, range(0, count, CHUNK)), work, count)
        return not differing

    def _run(self, starts: Iterator[int], work: Callable[[int], object], count: int) -> None:
        """Do `work` on chunks of a tensor of `count` elements, on as many threads as there are chunks."""
        run(starts, work, min(self._jobs, -(-count // CHUNK)))

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
            with suppress(NoValues):
                found[name] = digest(elements.blocks(name))
            advance(math.prod(elements.shape(name)))

        total = sum(math.prod(elements.shape(name)) for name in names)
        with progress.work("digests", total) as advance:
            run(iter(names), work, self._jobs)
        return {name: found[name] for name in names if name in found}


def _same_bytes(was: Array, now: Array) -> bool:
    return bool(np.array_equal(bits(was), bits(now)))
