"""Fill tensors block by block on several threads, and write each block at its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import torch
from torch import Tensor

from paramtool.elements.moments import Moments
from paramtool.elements.runs import moments_of_runs
from paramtool.files.writing.weights import WeightsWriter
from paramtool.operations.initialization import stored_tensor
from paramtool.operations.initialization.steps import fill_whole
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
        numel, is_small = each.tensor.numel(), each.is_small
        is_next = is_small and bool(run) and writer.are_neighbours(run[-1].name, each.name)
        if run and not (is_next and size + numel <= stored_tensor.PART):
            yield run, None
            run, size = [], 0
        if is_small:
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
            look(each, part, each.moments)
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
        look(each, part, moments)
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
    for part in torch.split(flat, stored_tensor.PART):
        look(each, part, moments)
    with lock:
        each.moments.merge(moments)
