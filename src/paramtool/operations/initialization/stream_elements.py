"""The values that a model would have, read block by block: no tensor of it is in memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from paramtool.elements.dtypes import Array, Dtype, dtype_of
from paramtool.elements.elements import BLOCK, outline_indexes
from paramtool.elements.strided import packed, row_major
from paramtool.operations.initialization.rule_plan import has_overlap, plan
from paramtool.operations.initialization.tensor_stream import TensorStream
from paramtool.records.rule import Rule
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of
from paramtool.tensors.fills import Fills
from paramtool.tensors.named_tensors import NamedTensor, by_tensor, dtype_name, named_tensors
from paramtool.tensors.scratch import Scratch

MOST_WHOLE = 2
"""Tensors kept that some initializer saw as a whole: two threads read at the end of one and in the next."""


def stream_elements(
    module: nn.Module,
    rules: Sequence[Rule] = (),
    *,
    fills: Mapping[str, Fills] | None = None,
    loaded: Callable[..., Iterator[Tensor]] | None = None,
    seed: int = 0,
    warnings: Callable[[], list[str]] = list,
) -> StreamElements | None:
    """Return the elements of every named tensor of `module` after `rules`; None if one must be built.

    Args:
        module: on the meta device.
        rules: as of `initialize`.
        fills: what the constructors filled each tensor with, by its names.
        loaded: reads the elements of a stored tensor, by its first name, from a file.
        seed: of every stream.
        warnings: what there is to say after they were read.

    Raises:
        RuleMatchedNothing: if a rule matches no parameter.
        Problems: with everything that stands against the plan.
    """
    targets = plan(module, rules) if rules else []
    if (rules or loaded) and has_overlap(module, stored=False):
        return None
    steps = {target.name: target.steps for target in targets}
    found: dict[str, TensorStream] = {}
    for group in by_tensor(named_tensors(module)):
        first = group[0]
        if is_lazy(first.tensor):
            continue
        stream = _stream(group, fills or {}, loaded)
        if stream is None:
            return None
        stream.steps = steps.get(first.name, ())
        found |= dict.fromkeys((each.name for each in group), stream)
    return StreamElements(found, seed, warnings)


def _stream(
    group: Sequence[NamedTensor],
    fills: Mapping[str, Fills],
    loaded: Callable[..., Iterator[Tensor]] | None,
) -> TensorStream | None:
    first, stored = group[0], next((each for each in group if each.is_stored), None)
    if loaded is not None and stored is not None:
        return TensorStream(first.name, first.tensor, loaded=partial(loaded, stored.name))
    known = fills.get(first.name)
    if known is None and first.tensor.numel():
        return None
    return TensorStream(first.name, first.tensor, known)


class StreamElements:
    """The elements of tensors that are made when they are read; from any thread.

    Args:
        tensors: what makes each, by its names.
        seed: of every stream.

    Attributes:
        warnings: what there is to say after they were read.
    """

    def __init__(
        self, tensors: Mapping[str, TensorStream], seed: int, warnings: Callable[[], list[str]] = list
    ) -> None:
        self.warnings = warnings
        self._tensors = tensors
        self._seed = seed
        self._free: list[tuple[Scratch, Scratch]] = []
        self._lock = threading.Lock()
        self._whole: dict[int, Tensor] = {}
        self._filling = threading.Lock()

    def part(self, start: str) -> StreamElements:
        """Return those whose names begin with `start`, by the rest of their names."""
        names = [name for name in self._tensors if name.startswith(start)]
        return StreamElements({name[len(start) :]: self._tensors[name] for name in names}, self._seed)

    def release(self) -> None:
        """Let go of the memory that is kept between reads."""
        self._whole.clear()
        self._free.clear()

    def dtype(self, name: str) -> Dtype:
        """Return what the bits of the elements mean.

        Raises:
            ParamtoolError: if values of such a dtype are not read.
        """
        return dtype_of(dtype_name(self._tensors[name].tensor), f"'{name}'")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the sizes."""
        return tuple(self._tensors[name].tensor.shape)

    def blocks(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """Yield the elements from `start` to `stop`, made one block after the other.

        Raises:
            ParamtoolError: if values of such a dtype are not read, or an initializer or a file fails.
        """
        count = math.prod(self.shape(name))
        end = count if stop is None else min(stop, count)
        dtype = self.dtype(name)
        parts = self._parts(self._tensors[name], start, end)
        yield from packed(parts, start, end, np.empty(BLOCK, dtype.held))

    def outline(self, name: str) -> Array:
        """Make the blocks in which the edges are.

        Raises:
            ParamtoolError: if values of such a dtype are not read, or an initializer or a file fails.
        """
        shape = self.shape(name)
        kept = outline_indexes(shape)
        places = np.zeros([len(each) for each in kept], np.int64)
        for dimension, step in enumerate(row_major(shape)):
            sizes = [1] * dimension + [-1] + [1] * (len(shape) - dimension - 1)
            places += (np.array(kept[dimension], np.int64) * step).reshape(sizes)
        found = np.empty(places.shape, self.dtype(name).held)
        for number in np.unique(places // streams.BLOCK).tolist():
            start = number * streams.BLOCK
            for first, part in self._parts(self._tensors[name], start, start + 1):
                inside = (places >= first) & (places < first + part.size)
                found[inside] = part[places[inside] - first]
        return found

    def _parts(self, each: TensorStream, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        """Yield the blocks that have the elements from `start` to `stop` in parts, and where each begins."""
        numbers = range(start // streams.BLOCK, -(-stop // streams.BLOCK))
        first = numbers.start * streams.BLOCK
        with self._lent() as (scratch, room):
            if each.is_whole:
                flat = self._as_whole(each).view(-1)
                parts = iter(torch.split(flat[first : numbers.stop * streams.BLOCK], streams.BLOCK))
            else:
                parts = each.parts(numbers, self._seed, scratch, room)
            for part in parts:
                yield first, array_of(part)[0]
                first += part.numel()

    def _as_whole(self, each: TensorStream) -> Tensor:
        """Return all of a tensor, of which the last few are kept: it is read chunk by chunk."""
        with self._filling:
            whole = self._whole.pop(id(each), None)
            if whole is None:
                while len(self._whole) >= MOST_WHOLE:
                    del self._whole[next(iter(self._whole))]
                whole = each.whole(self._seed)
            self._whole[id(each)] = whole
            return whole

    @contextmanager
    def _lent(self) -> Iterator[tuple[Scratch, Scratch]]:
        """Lend room to draw in and room for a block, used again by the next."""
        with self._lock:
            rooms = self._free.pop() if self._free else (Scratch(), Scratch())
        try:
            yield rooms
        finally:
            with self._lock:
                self._free.append(rooms)
