"""Initialize a model straight to disk, block by block, so that memory does not grow with it."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from paramtool import streams
from paramtool.errors import ParamtoolError
from paramtool.files.weights import Entry, WeightsWriter
from paramtool.fills import Fill, run_fills
from paramtool.named_tensors import dtype_name, named_tensors
from paramtool.operations.initialize import fill_whole, one_thread, plan_row, totals_of
from paramtool.operations.planning import Step, Target, plan
from paramtool.operations.statistics import Moments
from paramtool.records.initialization import SAVED_COLUMNS, InitializationRow, InitializationTotals
from paramtool.records.report import Report
from paramtool.records.rule import Rule


@dataclass
class Saved:
    """One tensor on its way to the disk: what it was filled with, and what rules do to it.

    Attributes:
        fills: what the constructor did; empty where `tensor` holds the values itself.
        steps: what rules do after that.
        moments: what is known of the elements that are written.
    """

    name: str
    tensor: Tensor
    fills: tuple[Fill, ...]
    steps: tuple[Step, ...] = ()
    moments: Moments = field(default_factory=Moments)

    @property
    def entry(self) -> Entry:
        return Entry(self.name, dtype_name(self.tensor), tuple(self.tensor.shape))

    @property
    def is_whole(self) -> bool:
        """Whether some step needs to see the whole tensor at once."""
        return any(step.law is None for step in self.steps)

    def fill(self, block: Tensor, number: int, seed: int, scratch: Tensor) -> None:
        """Give `block`, flat and of the tensor's dtype, its values."""
        if not (self.steps and self.steps[0].replaces):
            self.construct(block, number, seed, scratch)
        for step in self.steps:
            self.run(step, block, number, seed, scratch)

    def construct(self, block: Tensor, number: int, seed: int, scratch: Tensor) -> None:
        """Give `block` what the constructor gave it."""
        if self.fills:
            run_fills(self.fills, block, number, seed, self.name, scratch)
        else:
            first = number * streams.BLOCK
            block.copy_(self.tensor.detach().view(-1)[first : first + block.numel()])

    def run(self, step: Step, block: Tensor, number: int, seed: int, scratch: Tensor) -> None:
        """Run one elementwise step on `block`; random numbers are drawn in float32 and cast."""
        assert step.law is not None
        if not step.law.random:
            step.law.draw(block, None)
            return
        drawn = block if block.dtype == torch.float32 else scratch[: block.numel()]
        step.law.draw(drawn, streams.stream(seed, self.name, number))
        if drawn is not block:
            block.copy_(drawn)


def save(
    module: nn.Module,
    target: Path,
    rules: Sequence[Rule] = (),
    *,
    fills_of: Callable[[Tensor], tuple[Fill, ...]] | None = None,
    seed: int = 0,
    jobs: int = 1,
    max_shard_size: int | None = None,
    force: bool = False,
    model: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Report[InitializationRow, InitializationTotals]:
    """Write the parameters and persistent buffers of `module`, filled by `rules`, to safetensors files.

    Every complaint comes before anything is written.  A tied tensor is stored once, under its first
    name; the metadata map its other names to that.

    Args:
        module: on the meta device, with `fills_of`; or with values.
        target: a file, or with `max_shard_size` a folder.
        rules: as of `initialize`.
        fills_of: what the constructors filled a tensor with.
        seed: of every stream.
        jobs: threads; the values do not depend on them.
        max_shard_size: bytes of tensors in one file at most.
        force: replace what is there.
        model: what to call the model in the report.
        progress: called with the bytes of each block that is written.

    Raises:
        NothingMatched: where a rule matches no parameter.
        Problems: with everything that stands against the plan.
        ParamtoolError: where the files cannot be written, or a plugin misbehaves.
    """
    targets = plan(module, rules)
    saved, tied = _saved(module, targets, fills_of)
    touched = [each for each in targets if each.steps]
    totals = totals_of(touched, len(targets), rules, seed, "streams")
    record = {"seed": seed, "rng": "streams", "torch": torch.__version__, "rules": list(totals.rules)}
    metadata = {**tied, "format": "pt", "paramtool": json.dumps(record)}
    writer = WeightsWriter(
        target, [each.entry for each in saved], metadata=metadata, max_shard_size=max_shard_size, force=force
    )
    with writer, one_thread():
        _write_all(saved, writer, seed, jobs, progress)
    by_name = {each.name: each for each in saved}
    rows = tuple(plan_row(each, by_name[each.name].moments.result()) for each in touched)
    totals = totals_of(touched, len(targets), rules, seed, "streams", writer)
    return Report("init", model or type(module).__name__, rows, totals, SAVED_COLUMNS)


def _saved(
    module: nn.Module, targets: Sequence[Target], fills_of: Callable[[Tensor], tuple[Fill, ...]] | None
) -> tuple[list[Saved], dict[str, str]]:
    """Return what to store, and the names that stand for another."""
    steps = {target.name: target.steps for target in targets}
    found: dict[int, Saved] = {}
    tied: dict[str, str] = {}
    for named in named_tensors(module):
        if not named.is_stored:
            continue
        if nn.parameter.is_lazy(named.tensor):
            raise ParamtoolError(f"'{named.name}' is lazy and has no shape", hint="give the spec an 'input'")
        first = found.get(id(named.tensor))
        if first is not None:
            tied[named.name] = first.name
            continue
        fills = fills_of(named.tensor) if fills_of else ()
        found[id(named.tensor)] = Saved(named.name, named.tensor, fills, steps.get(named.name, ()))
    return list(found.values()), tied


def is_known(module: nn.Module, fills_of: Callable[[Tensor], tuple[Fill, ...]]) -> bool:
    """Tell whether it is known of every tensor to store what its constructor filled it with."""
    return all(
        fills_of(named.tensor) for named in named_tensors(module) if named.is_stored and named.tensor.numel()
    )


def byte_count(module: nn.Module) -> int:
    """Return the bytes that a save of `module` writes."""
    stored = {id(named.tensor): named.tensor for named in named_tensors(module) if named.is_stored}
    return sum(each.nbytes for each in stored.values() if not nn.parameter.is_lazy(each))


def _write_all(
    saved: Sequence[Saved], writer: WeightsWriter, seed: int, jobs: int, progress: Callable[[int], object]
) -> None:
    """Share the blocks of all tensors out to threads, each with its own two buffers."""
    tasks = _tasks(saved)
    lock = threading.Lock()
    stopped = threading.Event()

    def work() -> None:
        scratch = torch.empty(streams.BLOCK)
        room = torch.empty(streams.BLOCK, dtype=torch.complex128).view(torch.uint8)
        with torch.no_grad():
            while not stopped.is_set():
                with lock:
                    task = next(tasks, None)
                if task is None:
                    return
                each, number = task
                size = (
                    _write_whole(each, writer, seed)
                    if number is None
                    else _write_block(each, number, writer, seed, scratch, room, lock)
                )
                progress(size)

    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        futures = [pool.submit(work) for _ in range(max(1, jobs))]
        try:
            for future in futures:
                future.result()
        finally:
            stopped.set()


def _tasks(saved: Sequence[Saved]) -> Iterator[tuple[Saved, int | None]]:
    for each in saved:
        if each.is_whole:
            yield each, None
        else:
            for number in range(-(-each.tensor.numel() // streams.BLOCK)):
                yield each, number


def _write_block(
    each: Saved, number: int, writer: WeightsWriter, seed: int, scratch: Tensor, room: Tensor, lock: Any
) -> int:
    first = number * streams.BLOCK
    count = min(streams.BLOCK, each.tensor.numel() - first)
    size = each.tensor.dtype.itemsize
    block = room[: count * size].view(each.tensor.dtype)
    each.fill(block, number, seed, scratch)
    writer.write(each.name, first * size, _bytes(block))
    _learn(each, block, lock)
    return count * size


def _write_whole(each: Saved, writer: WeightsWriter, seed: int) -> int:
    """Fill a tensor that some initializer must see as a whole, and write it."""
    whole = torch.empty(each.tensor.shape, dtype=each.tensor.dtype)
    scratch = torch.empty(min(streams.BLOCK, whole.numel()))
    if not each.steps[0].replaces:
        for number, block in streams.blocks(whole):
            each.construct(block, number, seed, scratch)
    for step in each.steps:
        if step.law is None:
            fill_whole(step, whole, each.name, streams.stream(seed, each.name))
        else:
            for number, block in streams.blocks(whole):
                each.run(step, block, number, seed, scratch)
    writer.write(each.name, 0, _bytes(whole))
    _learn(each, whole.view(-1), threading.Lock())
    return whole.nbytes


def _learn(each: Saved, flat: Tensor, lock: Any) -> None:
    if not (each.steps and flat.is_floating_point()):
        return
    moments = Moments()
    if flat.dtype == torch.float32:
        moments.glance(flat)
    else:
        moments.take(flat)
    with lock:
        each.moments.merge(moments)


def _bytes(tensor: Tensor) -> memoryview:
    """Return the memory of a contiguous tensor, without a copy and without NumPy."""
    return memoryview((ctypes.c_char * tensor.nbytes).from_address(tensor.data_ptr())).cast("B")
