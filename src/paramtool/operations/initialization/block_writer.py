"""Fill tensors block by block on several threads, and write each block at its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor

from paramtool.elements.moments import Moments
from paramtool.elements.runs import moments_of_runs
from paramtool.errors import ParamtoolError
from paramtool.files.writing.weights import Entry, WeightsWriter
from paramtool.operations.initialization.steps import fill_whole, runner
from paramtool.operations.rules.step import Step
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of
from paramtool.tensors.fills import SMALLEST_PART, Filler, Fills, come_in_parts, filler
from paramtool.tensors.kinds import is_strided, lack_of_values
from paramtool.tensors.memory import as_bytes
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.scratch import Scratch

PART = 1 << 18
"""Elements that are drawn, measured and written while they are in the cache of a core."""

_SMALL = 1 << 14
"""Elements of a tensor that is written together with its neighbours."""


@dataclass
class StoredTensor:
    """One tensor on its way to the disk: what it was filled with, and what rules do to it.

    Attributes:
        fills: what the constructor did; None if `tensor` holds the values itself, or `loaded` gives them.
        steps: what rules do after that.
        loaded: reads the elements from a file, in the tensor's dtype and in blocks.
        moments: what is known of the elements that are written.
        measured: their moments, where they were taken together with those of others.
    """

    name: str
    tensor: Tensor
    fills: Fills | None = None
    steps: tuple[Step, ...] = ()
    loaded: Callable[[], Iterator[Tensor]] | None = None
    moments: Moments = field(default_factory=Moments)
    measured: Mapping[str, Any] | None = None

    @property
    def entry(self) -> Entry:
        if not is_strided(self.tensor):
            kind = "sparse" if self.tensor.layout is not torch.strided else "not an ordinary tensor"
            raise ParamtoolError(f"'{self.name}' is {kind}, and cannot be written")
        lack = None if self.tensor.is_meta else lack_of_values(self.tensor)
        if lack:
            raise ParamtoolError(f"'{self.name}' {lack}")
        return Entry(self.name, dtype_name(self.tensor), tuple(self.tensor.shape))

    @cached_property
    def _flat(self) -> Tensor:
        """The elements of `tensor` in row-major order: a copy of one that does not lie so."""
        return self.tensor.detach().reshape(-1)

    def result(self) -> Mapping[str, Any]:
        """Return mean, std, min and max of what was written."""
        return self.moments.result() if self.measured is None else self.measured

    @property
    def is_small(self) -> bool:
        """Whether it is written together with its neighbours."""
        is_plain = not (self.is_whole or self.is_read) and self.tensor.dtype == torch.float32
        return is_plain and 0 < self.tensor.numel() <= min(_SMALL, streams.BLOCK)

    @property
    def is_whole(self) -> bool:
        """Whether some step needs to see the whole tensor at once."""
        return any(step.law is None for step in self.steps)

    @property
    def is_replaced(self) -> bool:
        """Whether rules replace all that was there before."""
        return bool(self.steps) and self.steps[0].replaces

    @property
    def is_read(self) -> bool:
        """Whether what a file holds comes into what is written."""
        return self.loaded is not None and not self.is_replaced

    def read(self) -> Iterator[Tensor]:
        """Yield what the file holds in the blocks of random streams, each good until the next."""
        assert self.loaded is not None
        for block in self.loaded():
            yield from torch.split(block, streams.BLOCK)

    def fill(self, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Give `block`, flat and of the tensor's dtype, its values."""
        for fill in self._fillers(number, seed, scratch):
            fill(block, number * streams.BLOCK)

    def parts(self, number: int, seed: int, scratch: Scratch, room: Scratch) -> Iterator[Tensor]:
        """Yield the values of a block in flat parts that stay in a core's cache, each good until the next."""
        first = number * streams.BLOCK
        count = min(streams.BLOCK, self.tensor.numel() - first)
        if not self._comes_in_parts:
            block = room.take(count, self.tensor.dtype)
            self.fill(block, number, seed, scratch)
            yield from torch.split(block, PART)
            return
        fillers = self._fillers(number, seed, scratch)
        for start, stop in _cuts(count):
            part = room.take(stop - start, self.tensor.dtype)
            for fill in fillers:
                fill(part, first + start)
            yield part

    @cached_property
    def _comes_in_parts(self) -> bool:
        """Whether its values may be drawn part after part; see `fills.come_in_parts`."""
        numel = self.tensor.numel()
        is_made_so = self.is_replaced or self.fills is None or come_in_parts(self.fills, numel)
        return is_made_so and all(
            step.law and (step.law.in_parts or not step.law.random) for step in self.steps
        )

    def _fillers(self, number: int, seed: int, scratch: Scratch) -> list[Filler]:
        """Return what fills block `number`, in order, each with its own generator."""
        fillers = [] if self.is_replaced else [self._constructor(number, seed, scratch)]
        return fillers + [self._runner(step, number, seed, scratch) for step in self.steps]

    def _constructor(self, number: int, seed: int, scratch: Scratch) -> Filler:
        if self.fills is not None:
            return filler(self.fills, number, seed, scratch)
        return self._take

    def _take(self, part: Tensor, first: int) -> None:
        part.copy_(self._flat[first : first + part.numel()])

    def _runner(self, step: Step, number: int, seed: int, scratch: Scratch) -> Filler:
        assert step.law is not None
        return runner(step.law, number, seed, self.name, scratch)

    def construct(self, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Give `block` what the constructor gave it."""
        self._constructor(number, seed, scratch)(block, number * streams.BLOCK)

    def run(self, step: Step, block: Tensor, number: int, seed: int, scratch: Scratch) -> None:
        """Run one elementwise step on `block`."""
        self._runner(step, number, seed, scratch)(block, number * streams.BLOCK)


def _cuts(count: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a block begin and end; none is too small to be drawn by itself."""
    start = 0
    while count - start >= PART + SMALLEST_PART:
        yield start, start + PART
        start += PART
    yield start, count


def write_all(
    saved: Sequence[StoredTensor],
    writer: WeightsWriter,
    seed: int,
    jobs: int,
    progress: Callable[[int], object],
) -> None:
    """Share the blocks of all tensors out to threads, each with its own two buffers."""
    tasks = _tasks(saved, writer)
    lock = threading.Lock()
    stopped = threading.Event()

    def work() -> None:
        scratch, room = Scratch(), Scratch()
        with torch.no_grad():
            while not stopped.is_set():
                with lock:
                    task = next(tasks, None)
                if task is None:
                    return
                each, number = task
                if isinstance(each, list):
                    progress(_write_run(each, writer, seed, scratch, room))
                elif number is not None:
                    progress(_write_block(each, number, writer, seed, scratch, room, lock))
                elif each.is_whole:
                    progress(_write_whole(each, writer, seed))
                else:
                    for size in _write_read(each, writer, seed, scratch, room, lock):
                        progress(size)
                        if stopped.is_set():
                            return

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        futures = [pool.submit(work) for _ in range(max(1, jobs))]
        try:
            for future in futures:
                future.result()
        finally:
            stopped.set()


_Task: TypeAlias = "tuple[StoredTensor | list[StoredTensor], int | None]"


def _tasks(saved: Sequence[StoredTensor], writer: WeightsWriter) -> Iterator[_Task]:
    """Yield what one thread does in one go: a block, a tensor as a whole, or many small ones in a row."""
    run: list[StoredTensor] = []
    size = 0
    for each in saved:
        numel = each.tensor.numel()
        if run and (
            size + numel > PART or not each.is_small or not writer.are_neighbours(run[-1].name, each.name)
        ):
            yield run, None
            run, size = [], 0
        if each.is_small:
            run.append(each)
            size += numel
        elif each.is_whole or each.is_read:
            yield each, None
        else:
            for number in range(-(-numel // streams.BLOCK)):
                yield each, number
    if run:
        yield run, None


def _write_run(
    run: Sequence[StoredTensor], writer: WeightsWriter, seed: int, scratch: Scratch, room: Scratch
) -> int:
    """Write tensors that lie one after the other in one file."""
    sizes = [each.tensor.numel() for each in run]
    whole = room.take(sum(sizes), torch.float32)
    for each, part in zip(run, torch.split(whole, sizes), strict=True):
        each.fill(part, 0, seed, scratch)
    writer.write_run([each.name for each in run], as_bytes(whole))
    measured = moments_of_runs(array_of(whole)[0], sizes)
    for position, (each, part) in enumerate(zip(run, torch.split(whole, sizes), strict=True)):
        if each.steps and measured is None:
            _look(each, part, each.moments)
        elif each.steps and measured is not None:
            each.measured = measured[position]
    return whole.nbytes


def _write_block(
    each: StoredTensor,
    number: int,
    writer: WeightsWriter,
    seed: int,
    scratch: Scratch,
    room: Scratch,
    lock: Any,
) -> int:
    start = position = number * streams.BLOCK * each.tensor.dtype.itemsize
    moments = Moments()
    for part in each.parts(number, seed, scratch, room):
        writer.write(each.name, position, as_bytes(part))
        _look(each, part, moments)
        position += part.nbytes
    with lock:
        each.moments.merge(moments)
    return position - start


def _write_read(
    each: StoredTensor, writer: WeightsWriter, seed: int, scratch: Scratch, room: Scratch, lock: Any
) -> Iterator[int]:
    """Write what a file holds, and what elementwise steps make of it, from the first block to the last."""
    first = 0
    for number, read in enumerate(each.read()):
        block = read
        if each.steps:
            block = room.take(read.numel(), read.dtype).copy_(read)
        for step in each.steps:
            each.run(step, block, number, seed, scratch)
        writer.write(each.name, first, as_bytes(block))
        _learn(each, block, lock)
        first += block.nbytes
        yield block.nbytes


def _write_whole(each: StoredTensor, writer: WeightsWriter, seed: int) -> int:
    """Fill a tensor that some initializer must see as a whole, and write it."""
    whole = torch.empty(each.tensor.shape, dtype=each.tensor.dtype)
    scratch = Scratch()
    if each.is_read:
        for (_, block), read in zip(streams.blocks(whole), each.read(), strict=True):
            block.copy_(read)
    elif not each.is_replaced:
        for number, block in streams.blocks(whole):
            each.construct(block, number, seed, scratch)
    for position, step in enumerate(each.steps):
        if step.law is None:
            fill_whole(step, position, whole, seed, each.name)
        else:
            for number, block in streams.blocks(whole):
                each.run(step, block, number, seed, scratch)
    writer.write(each.name, 0, as_bytes(whole))
    _learn(each, whole.view(-1), threading.Lock())
    return whole.nbytes


def _learn(each: StoredTensor, flat: Tensor, lock: Any) -> None:
    moments = Moments()
    for part in torch.split(flat, PART):
        _look(each, part, moments)
    with lock:
        each.moments.merge(moments)


def _look(each: StoredTensor, flat: Tensor, moments: Moments) -> None:
    """Take the elements of a tensor that rules fill into `moments`."""
    if not (each.steps and flat.is_floating_point()):
        return
    array, dtype = array_of(flat)
    if flat.dtype == torch.float32:
        moments.glance(array)
    else:
        moments.take(array, dtype)
