"""Read, cast and write the tensors of a plan block by block, on several threads."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramtool.elements.cast_losses import Losses, all_fit, extremes_fit, has_zero, losses, nan_count
from paramtool.elements.cast_losses import loses as may_lose
from paramtool.elements.casts import cast
from paramtool.elements.dtypes import DTYPES, Array, Dtype, memory_of
from paramtool.elements.elements import CHUNK
from paramtool.elements.scratch import own_scratch
from paramtool.elements.threads import run
from paramtool.errors import ParamtoolError, Unmet
from paramtool.files.reading.file_states import check_unchanged, file_states, files_of, is_any
from paramtool.files.writing.weights import WeightsWriter
from paramtool.operations.conversion.container import Kind, container_of, kind_of, metadata_of
from paramtool.operations.conversion.items import Item
from paramtool.operations.conversion.plan import Plan
from paramtool.operations.conversion.report import report_of
from paramtool.operations.conversion.tasks import Task, tasks
from paramtool.quantities import counted
from paramtool.records.conversion import Conversion

FAILURES = ("overflow", "underflow", "nan")
"""What `fail_on` may name."""


@dataclass(frozen=True)
class Orders:
    """How a plan is carried out.

    Attributes:
        target: the file or folder; None to write nothing.
        max_shard_size: bytes of tensors in one file at most.
        force: replace what is there.
        metadata: texts to add.
        keep_metadata: keep those of the sources.
        digests: add the SHA-256 of each tensor.
        fail_on: see `FAILURES`.
        dry_run: write nothing, and read elements only for `fail_on`.
        jobs: threads.
    """

    target: Path | None
    max_shard_size: int | None = None
    force: bool = False
    metadata: Mapping[str, str] | None = None
    keep_metadata: bool = True
    digests: bool = False
    fail_on: Collection[str] = ()
    dry_run: bool = False
    jobs: int = 1

    @property
    def kind(self) -> Kind:
        """What is written."""
        return kind_of(self.target, self.max_shard_size)


class Conversions:
    """Carries out one plan.

    Raises:
        ParamtoolError: for what cannot be written, before anything is.
    """

    def __init__(self, plan: Plan, orders: Orders) -> None:
        self.plan = plan
        self._orders = orders
        self._before = file_states(path for each in plan.sources.checkpoints for path in files_of(each))
        self.metadata = metadata_of(plan, orders.kind, orders.metadata or {}, keep=orders.keep_metadata)
        self._writer = None if orders.target is None else self._prepared(orders.target)
        self._found = {
            each.name: Losses(nan=0 if _sees_nan(each, orders.fail_on) else None) for each in plan.stored
        }
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """The bytes of the tensors that are written."""
        return sum(each.nbytes for each in self.plan.entries)

    def report(self, progress: Callable[[int], object] = lambda _: None) -> Conversion:
        """Write, and return what was done; for a plan, what would be.

        Raises:
            Unmet: if values are lost that are not to be.
            ParamtoolError: if a source cannot be read, or a file not be written.
        """
        orders, writer = self._orders, self._writer
        if orders.dry_run or writer is None:
            if writer is not None:
                writer.check()
            if orders.fail_on:
                self._read(None, progress)
            return report_of(self.plan, self._found if orders.fail_on else None, self.metadata)
        writer.read_elements(orders.jobs, digests=orders.digests)
        with writer:
            self._read(writer, progress)
            check_unchanged(self._before)
        files = {name: path.name for name, path in writer.places.items()}
        return report_of(
            self.plan, self._found, self.metadata, files=files, written=writer.files,
            digests=writer.digests if orders.digests else None,
        )  # fmt: skip

    def _prepared(self, target: Path) -> WeightsWriter:
        kind, entries = self._orders.kind, self.plan.entries
        sources = self._before
        most = self._orders.max_shard_size
        if kind is Kind.folder and most is None:
            most = max(1, self.nbytes)
        is_folder = kind is Kind.folder and is_any(target, {path.parent for path in sources})
        if is_folder or is_any(target, sources):
            what = "it holds a source" if is_folder else "it is a source"
            hint = "write somewhere else, and replace it afterwards"
            raise ParamtoolError(f"cannot write {target}: {what}", hint=hint)
        ties = {} if kind is Kind.archive else self.plan.ties
        return WeightsWriter(
            target, entries, metadata={**ties, **self.metadata}, max_shard_size=most,
            force=self._orders.force, container=container_of(kind, self.plan),
        )  # fmt: skip

    def _read(self, writer: WeightsWriter | None, progress: Callable[[int], object]) -> None:
        """Read everything that is stored, and write it, unless there is no writer."""
        wanted = "nan" in self._orders.fail_on

        def work(task: Task) -> None:
            items, start = task
            if len(items) > 1:
                progress(self._together(items, writer, wanted))
            else:
                progress(self._chunk(items[0], start, writer, wanted))

        run(tasks(self.plan, writer), work, self._orders.jobs)
        self._check(self._orders.fail_on)

    def _together(self, items: Sequence[Item], writer: WeightsWriter | None, count_nan: bool) -> int:
        """Convert small tensors at once, and return how many bytes they are."""
        old, new = DTYPES[items[0].stored.dtype], DTYPES[items[0].dtype]
        total = 0
        for block in self.plan.sources.elements(items[0]).together([each.was for each in items]):
            result, is_counted = _converted(block, old, new, count_nan)
            if writer is not None:
                writer.write_run([each.name for each in items], memory_of(result))
            if is_counted:  # after the write: to count NaN in a part, the memory of `result` may be reused
                self._count(items, block, result)
            total += result.nbytes
        return total

    def _count(self, items: Sequence[Item], block: Array, result: Array) -> None:
        """Count what each of several small tensors loses; their elements follow each other in `block`."""
        old, new = DTYPES[items[0].stored.dtype], DTYPES[items[0].dtype]
        start = 0
        for each in items:
            stop = start + math.prod(each.stored.shape)
            lost = _lost(block[start:stop], result[start:stop], old, new)
            with self._lock:
                self._found[each.name].add(lost)
            start = stop

    def _chunk(self, item: Item, start: int, writer: WeightsWriter | None, count_nan: bool) -> int:
        """Convert elements from `start` on, and return how many bytes they are."""
        old, new = DTYPES[item.stored.dtype], DTYPES[item.dtype]
        total, position = Losses(), start * new.itemsize
        for block in self.plan.sources.elements(item).blocks(item.was, start, start + CHUNK):
            result, is_counted = _converted(block, old, new, count_nan)
            if is_counted:
                total.add(_lost(block, result, old, new))
            if writer is not None:
                writer.write(item.name, position, memory_of(result))
            position += result.nbytes
        with self._lock:
            self._found[item.name].add(total)
        return position - start * new.itemsize

    def _check(self, fail_on: Collection[str]) -> None:
        fields = {"overflow": "overflowed", "underflow": "vanished", "nan": "nan"}
        words = {"overflow": "too large for", "underflow": "become zero in", "nan": "NaN"}
        problems = []
        for failure in (each for each in FAILURES if each in fail_on):
            for item in self.plan.stored:
                number = getattr(self._found[item.name], fields[failure])
                if number:
                    what = words[failure] + ("" if failure == "nan" else f" {item.dtype}")
                    verb = ("is" if number == 1 else "are") if failure != "underflow" else ""
                    elements = counted(number, "element")
                    message = " ".join(word for word in (f"'{item.name}': {elements}", verb, what) if word)
                    problems.append(ParamtoolError(message))
        if problems:
            raise Unmet(problems)


def _converted(block: Array, old: Dtype, new: Dtype, count_nan: bool) -> tuple[Array, bool]:
    """Return a block of `old` as one of `new`, and whether `_lost` has anything to count in it."""
    is_narrow, scratch = may_lose(old, new), own_scratch()
    is_inside = is_narrow and extremes_fit(block, old, new)
    result = cast(block, old, new, scratch, may_have_nan=not is_inside)
    if not is_narrow:
        return result, count_nan
    loses_none = is_inside and not has_zero(result)
    return result, not loses_none and not all_fit(block, old, new, scratch)


def _lost(block: Array, result: Array, old: Dtype, new: Dtype) -> Losses:
    """Count what the cast of a block to `result` loses; of a cast that loses nothing, the NaN only."""
    if may_lose(old, new):
        return losses(block, old, new, result)
    return Losses(nan=nan_count(block, old, own_scratch()))


def _sees_nan(item: Item, fail_on: Collection[str]) -> bool:
    """Return whether NaN is counted: where a cast is looked at, or if it is asked for."""
    old = DTYPES[item.stored.dtype]
    return "nan" in fail_on or old.kind in ("int", "bool") or may_lose(old, DTYPES[item.dtype])
