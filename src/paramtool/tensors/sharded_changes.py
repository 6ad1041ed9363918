"""Compare the elements of sharded models: each process compares its part, and all hear the sum."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.changed_values import ChangedValues
from paramtool.elements.distance import Distance
from paramtool.elements.elements import Elements
from paramtool.errors import NoValues
from paramtool.records.difference import ValueChange
from paramtool.tensors.arrays import tensor_of
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.process_group import gathered
from paramtool.tensors.sharded_elements import RelayedElements, ShardedElements
from paramtool.tensors.sharding import HeldPart, are_alike, is_sharded, local_of

_Pair: TypeAlias = "tuple[str, str]"


class ShardedChanges:
    """Compares the elements of A with those of B, as `ChangedValues` does; all processes call it alike.

    A pair of tensors of which one is sharded, or both in the same way, is compared part by part.  Where
    they are sharded in two ways, each process gets the elements of both, block by block.

    Args:
        a, b: the elements of both; at least one of them `ShardedElements`.
        atol, rtol, jobs: as of `ChangedValues`.
        whole: what compares elements that every process gets.

    Attributes:
        left_out: why the elements of a tensor were not compared, by its name in B.
    """

    def __init__(  # noqa: PLR0913 - keywords, as those of ChangedValues
        self,
        a: Elements,
        b: Elements,
        *,
        atol: float = 0.0,
        rtol: float = 0.0,
        jobs: int = 1,
        whole: type[ChangedValues] = ChangedValues,
    ) -> None:
        self._a, self._b = a, b
        self._atol, self._rtol, self._jobs = atol, rtol, jobs
        self._relayed = tuple(
            each if isinstance(each, ShardedElements) else RelayedElements(each) for each in (a, b)
        )
        self._whole = whole(*self._relayed, atol=atol, rtol=rtol)
        self._has_parts = whole is ChangedValues
        self._known: dict[_Pair, ValueChange | None] = {}
        self.left_out = self._whole.left_out

    @property
    def without_spectrum(self) -> dict[str, str] | None:
        """Why the singular values of a difference are not known, by its name in B; None if nobody asked."""
        return self._whole.without_spectrum

    def digests(self, a: Collection[str], b: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the SHA-256 of the named tensors of A and of B, but of those without values.

        Raises:
            ParamtoolError: in every process, if elements cannot be read.
        """
        return self._whole.digests(a, b)

    def change(self, a: str, b: str) -> ValueChange | None:
        """Return how far tensor `b` in B is from `a` in A, of the same shape; None if close, or left out.

        Raises:
            ParamtoolError: in every process, if elements cannot be read.
        """
        if (a, b) in self._known:
            return self._known[a, b]
        return self._whole.change(a, b)

    def announce(self, pairs: Sequence[_Pair]) -> None:
        """Compare the parts of all tensors that are compared so, with a few exchanges.

        Raises:
            ParamtoolError: in every process, if elements cannot be read.
        """
        for each in (self._a, self._b):
            if isinstance(each, ShardedElements):
                each.prepare()
        everyone = gathered(lambda: [self._has_parts and self._divider(*pair) is not None for pair in pairs])
        divided = [pair for pair, *are in zip(pairs, *everyone, strict=True) if all(are)]
        own = [pair for pair in divided if self._counts(*pair)]
        lacking, differing = self._looked_at(divided, own)
        self.left_out.update((b, lack) for (_, b), lack in lacking.items())
        self._known.update(dict.fromkeys(divided))
        mine = set(own)
        distances = gathered(
            lambda: {pair: self._local(*pair).distance("", "") for pair in differing if pair in mine}
        )
        for pair in differing:
            self._known[pair] = _merged([each[pair] for each in distances if pair in each])

    def _looked_at(
        self, divided: Sequence[_Pair], own: Sequence[_Pair]
    ) -> tuple[dict[_Pair, str], list[_Pair]]:
        """Return why pairs cannot be compared, and those of the others that differ in any process."""

        def work() -> tuple[dict[_Pair, str], set[_Pair]]:
            lacking, differing = {}, set()
            for pair in own:
                try:
                    if not self._local(*pair).are_same("", ""):
                        differing.add(pair)
                except NoValues as error:
                    lacking[pair] = error.message
            return lacking, differing

        everyone = gathered(work)
        lacking: dict[_Pair, str] = {}
        for found, _ in reversed(everyone):
            lacking.update(found)
        return lacking, [
            pair for pair in divided if pair not in lacking and any(pair in each for _, each in everyone)
        ]

    def _divider(self, a: str, b: str) -> tuple[ShardedElements, str] | None:
        """Return the tensor whose parts are compared; None where neither or each its own way is sharded."""
        one, other = _sharded(self._a, a), _sharded(self._b, b)
        if one is not None and other is not None and not are_alike(one.tensors[a], other.tensors[b]):
            return None
        if other is not None:
            return other, b
        return None if one is None else (one, a)

    def _counts(self, a: str, b: str) -> bool:
        """Return whether this process is the first to hold its part."""
        found = self._divider(a, b)
        return found is not None and found[1] in found[0].parts.first

    def _local(self, a: str, b: str) -> ChangedValues:
        """Return what compares the parts that are held here, both called ""."""
        found = self._divider(a, b)
        assert found is not None
        part = found[0].parts.all[found[1]]
        both = (TensorElements({"": _held(*side, part)}) for side in ((self._a, a), (self._b, b)))
        return ChangedValues(*both, atol=self._atol, rtol=self._rtol, jobs=self._jobs)


def _relayed(elements: Elements) -> Elements:
    return elements if isinstance(elements, ShardedElements) else RelayedElements(elements)


def _merged(parts: Sequence[Distance]) -> ValueChange | None:
    if not parts:
        return None
    whole, *others = parts
    for part in others:
        whole.merge(part)
    return whole.result() if whole.differing else None


def _sharded(elements: Elements, name: str) -> ShardedElements | None:
    """Return the elements if the tensor of that name is sharded."""
    is_one = isinstance(elements, ShardedElements) and is_sharded(elements.tensors[name])
    return elements if is_one else None  # type: ignore[return-value]


def _held(elements: Elements, name: str, part: HeldPart) -> Tensor:
    """Return the elements that a part of a tensor of the same shape has, in a row.

    Raises:
        ParamtoolError: if they cannot be read.
    """
    if isinstance(elements, ShardedElements):
        tensor = elements.tensors[name].detach()
        return (local_of(tensor) if is_sharded(tensor) else part.of_whole(tensor)).reshape(-1)
    dtype = elements.dtype(name)
    kind = getattr(torch, dtype.name, None)
    if not isinstance(kind, torch.dtype):
        raise NoValues(f"'{name}' is {dtype.name}, a dtype that torch does not have")
    found = np.empty(part.local.numel(), dtype.held)
    start, stop = part.run or (0, None)
    for block in elements.blocks(name, start, stop):
        if part.run is not None:
            found[start - part.run[0] :][: block.size] = block
        else:
            here, positions = part.positions(torch.arange(start, start + block.size))
            found[positions.numpy()] = block[here.numpy()]
        start += block.size
    return tensor_of(found, kind)
