"""Fill tensors block by block on several threads, and write each block at its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.moments import Moments
from paramtool.elements.runs import moments_of_runs
from paramtool.elements.scratch import own_scratch
from paramtool.files.writing.weights import WeightsWriter
from paramtool.operations.initialization import tensor_stream
from paramtool.operations.initialization.stored_tensor import StoredTensor, look
from paramtool.tensors import streams
from paramtool.tensors.arrays import array_of
from paramtool.tensors.memory import as_bytes
from paramtool.tensors.scratch import Scratch


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
        while not stopped.is_set():
            with lock:
                task = next(tasks, None)
            if task is None:
                return
            if isinstance(task, list):
                progress(_write_run(task, writer, seed, scratch, room))
                continue
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


_Task: TypeAlias = "tuple[StoredTensor, range | None] | list[StoredTensor]"


def _tasks(saved: Sequence[StoredTensor], writer: WeightsWriter) -> Iterator[_Task]:
    """Yield what one thread does at a time: blocks of a tensor in order, all of it, or many small ones."""
    run: list[StoredTensor] = []
    size = 0
    for each in saved:
        numel, is_small = each.tensor.numel(), each.is_small
        is_next = is_small and bool(run) and _is_next(run[-1], each, writer)
        if run and not (is_next and size + numel <= tensor_stream.PART):
            yield run
            run, size = [], 0
        if is_small:
            run.append(each)
            size += numel
        elif each.is_whole:
            yield each, None
        elif each.is_read:
            yield each, range(each.count)
        else:
            for number in range(each.count):
                yield each, range(number, number + 1)
    if run:
        yield run


def _is_next(before: StoredTensor, each: StoredTensor, writer: WeightsWriter) -> bool:
    """Return whether two small tensors are written together: of one dtype, side by side in one file."""
    return before.tensor.dtype == each.tensor.dtype and writer.are_neighbours(before.name, each.name)


@torch.no_grad()
def _write_run(
    run: Sequence[StoredTensor], writer: WeightsWriter, seed: int, scratch: Scratch, room: Scratch
) -> int:
    """Write tensors that lie one after the other in one file."""
    sizes = [each.tensor.numel() for each in run]
    whole = room.take(sum(sizes), run[0].tensor.dtype)
    parts = torch.split(whole, sizes)
    draws = streams.OneStream()
    for each, part in zip(run, parts, strict=True):
        each.fill(part, seed, scratch, draws)
    writer.write_run([each.name for each in run], as_bytes(whole))
    _measure(run, whole, parts)
    return whole.nbytes


def _measure(run: Sequence[StoredTensor], whole: Tensor, parts: Sequence[Tensor]) -> None:
    """Take the moments of tensors that rules fill, all at once if that is possible."""
    if not any(each.steps for each in run):
        return
    measured = None
    if whole.is_floating_point():
        array, dtype = array_of(whole)
        wide = dtype.wide(array, own_scratch())
        if wide.dtype == np.float32 and wide.size == array.size:
            measured = moments_of_runs(wide, [part.numel() for part in parts])
    for position, (each, part) in enumerate(zip(run, parts, strict=True)):
        if each.steps and measured is None:
            look(each, part, each.moments)
        elif each.steps and measured is not None:
            each.measured = measured[position]


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
        look(each, part, moments)
        position += part.nbytes
        yield part.nbytes
    with lock:
        each.moments.merge(moments)


def _write_whole(each: StoredTensor, writer: WeightsWriter, seed: int) -> int:
    """Fill a tensor that some initializer must see as a whole, and write it."""
    whole = each.whole(seed)
    writer.write(each.name, 0, as_bytes(whole))
    for part in torch.split(whole.view(-1), tensor_stream.PART):
        look(each, part, each.moments)
    return whole.nbytes
