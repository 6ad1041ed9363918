"""Fill tensors block by block on several threads, and write each block at its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from paramtool.elements.moments import Moments
from paramtool.errors import ParamtoolError
from paramtool.files.writing.weights import Entry, WeightsWriter
from paramtool.operations.initialization.tensor_stream import PART, TensorStream
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of
from paramtool.tensors.kinds import is_strided, lack_of_values
from paramtool.tensors.memory import as_bytes
from paramtool.tensors.named_tensors import dtype_name
from paramtool.tensors.scratch import Scratch


@dataclass
class StoredTensor(TensorStream):
    """One tensor on its way to the disk.

    Attributes:
        moments: what is known of the elements that are written.
    """

    moments: Moments = field(default_factory=Moments)

    @property
    def entry(self) -> Entry:
        if not is_strided(self.tensor):
            kind = "sparse" if self.tensor.layout is not torch.strided else "not an ordinary tensor"
            raise ParamtoolError(f"'{self.name}' is {kind}, and cannot be written")
        lack = None if self.tensor.is_meta else lack_of_values(self.tensor)
        if lack:
            raise ParamtoolError(f"'{self.name}' {lack}")
        return Entry(self.name, dtype_name(self.tensor), tuple(self.tensor.shape))


def write_all(
    saved: Sequence[StoredTensor],
    writer: WeightsWriter,
    seed: int,
    jobs: int,
    progress: Callable[[int], object],
) -> None:
    """Share the blocks of all tensors out to threads, each with its own two buffers."""
    tasks = _tasks(saved)
    lock = threading.Lock()
    stopped = threading.Event()

    def work() -> None:
        scratch, room = Scratch(), Scratch()
        while not stopped.is_set():
            with lock:
                task = next(tasks, None)
            if task is None:
                return
            each, numbers = task
            if numbers is None:
                progress(_write_whole(each, writer, seed))
                continue
            for size in _write_blocks(each, numbers, writer, seed, scratch, room, lock):
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


def _tasks(saved: Sequence[StoredTensor]) -> Iterator[tuple[StoredTensor, range | None]]:
    """Yield what one thread does at a time: blocks of a tensor in order, or all of it at once."""
    for each in saved:
        if each.is_whole:
            yield each, None
        elif each.is_read:
            yield each, range(each.count)
        else:
            for number in range(each.count):
                yield each, range(number, number + 1)


def _write_blocks(
    each: StoredTensor,
    numbers: range,
    writer: WeightsWriter,
    seed: int,
    scratch: Scratch,
    room: Scratch,
    lock: Any,
) -> Iterator[int]:
    """Write blocks of a tensor, yield the bytes of each part, and take all of them into its moments."""
    position = numbers.start * streams.BLOCK * each.tensor.dtype.itemsize
    moments = Moments()
    for part in each.parts(numbers, seed, scratch, room):
        writer.write(each.name, position, as_bytes(part))
        _look(each, part, moments)
        position += part.nbytes
        yield part.nbytes
    with lock:
        each.moments.merge(moments)


def _write_whole(each: StoredTensor, writer: WeightsWriter, seed: int) -> int:
    """Fill a tensor that some initializer must see as a whole, and write it."""
    whole = each.whole(seed)
    writer.write(each.name, 0, as_bytes(whole))
    for part in torch.split(whole.view(-1), PART):
        _look(each, part, each.moments)
    return whole.nbytes


def _look(each: StoredTensor, flat: Tensor, moments: Moments) -> None:
    """Take the elements of a tensor that rules fill into `moments`."""
    if not (each.steps and flat.is_floating_point()):
        return
    array, dtype = array_of(flat)
    if flat.dtype == torch.float32:
        moments.glance(array)
    else:
        moments.take(array, dtype)
