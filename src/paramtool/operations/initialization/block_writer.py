"""Fill tensors block by block on several threads, and write each block at its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import torch

from paramtool.elements.moments import Moments
from paramtool.elements.runs import moments_of_runs
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
        is_next = is_small and bool(run) and writer.are_neighbours(run[-1].name, each.name)
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
            look(each, part, each.moments)
        elif each.steps and measured is not None:
            each.measured = measured[position]
    return whole.nbytes


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
