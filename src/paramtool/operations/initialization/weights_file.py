"""Initialize a model straight to disk, block by block, so that memory does not grow with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from paramtool.errors import ParamtoolError
from paramtool.files.writing.part import Part
from paramtool.files.writing.weights import Entry, WeightsWriter
from paramtool.operations.initialization.block_writer import write_all
from paramtool.operations.initialization.rule_plan import has_overlap, plan
from paramtool.operations.initialization.run_facts import run_facts
from paramtool.operations.initialization.stored_tensor import StoredTensor
from paramtool.operations.initialization.targets import LiveTarget
from paramtool.operations.rules.outline import Outline
from paramtool.operations.rules.rows import plan_row, totals_of
from paramtool.operations.rules.target import Target
from paramtool.records.constructor import changed
from paramtool.records.initialization import (
    SAVED_COLUMNS,
    Initialization,
    InitializationTotals,
)
from paramtool.records.report import Report
from paramtool.records.rule import Rule
from paramtool.tensors.fills import Fills
from paramtool.tensors.named_tensors import module_types, named_tensors, stored_tensors
from paramtool.tensors.one_thread import one_thread


def save(
    module: nn.Module,
    target: Path,
    rules: Sequence[Rule] = (),
    *,
    fills: Mapping[str, Fills] | None = None,
    loaded: Callable[..., Iterator[Tensor]] | None = None,
    done: Initialization | None = None,
    seed: int = 0,
    jobs: int = 1,
    max_shard_size: int | None = None,
    part: Part | None = None,
    force: bool = False,
    digests: bool = False,
    model: str | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Initialization:
    """Write the parameters and persistent buffers of `module`, filled by `rules`, to safetensors files.

    Every complaint comes before anything is written.  A tied tensor is stored once, under its first
    name; the metadata map its other names to that.

    Args:
        module: on the meta device, with `fills` or `loaded`; or with values.
        target: a file, or with `max_shard_size` a folder.
        rules: as of `initialize`.
        fills: what the constructors filled each tensor with, by its names.
        loaded: reads the elements of a tensor, by its first name, from the file that they come from.
        done: what `initialize` reported, where it has filled `module` already; then no rules are given.
        seed: of every stream.
        jobs: threads; the values do not depend on them.
        max_shard_size: bytes of tensors in one file at most.
        part: write, and report, only what is in the files of this part.
        force: replace an existing file.
        digests: read every element back, and add the SHA-256 of each tensor.
        model: what to call the model in the report.
        progress: called with the bytes of each block that is written.

    Raises:
        RuleMatchedNothing: if a rule matches no parameter.
        Problems: with everything that stands against the plan.
        ParamtoolError: if the files cannot be written, or a plugin misbehaves.
    """
    targets = plan(module, rules)
    touched = [each for each in targets if each.is_touched]
    if any(each.effective for each in touched if each.steps):
        raise ValueError("a parametrized tensor is initialized before it is saved")
    version = str(torch.__version__)
    totals = done.totals if done else totals_of(touched, len(targets), rules, seed, "streams", version)
    saved, tied = _saved(module, targets, fills, loaded)
    planned = done or Report(
        "init", model or type(module).__name__, (), totals, SAVED_COLUMNS, module_types(module)
    )
    entries = [each.entry for each in saved]
    return _store(
        saved, entries, tied, planned, target, () if done else touched, seed=seed, jobs=jobs,
        digests=digests, max_shard_size=max_shard_size, part=part, force=force, progress=progress,
    )  # fmt: skip


def save_outline(
    outline: Outline,
    targets: Sequence[Target],
    path: Path,
    rules: Sequence[Rule],
    *,
    fills: Mapping[str, Fills],
    seed: int = 0,
    **options: Any,
) -> Initialization:
    """Write the tensors of a spec that nothing needs to build; otherwise as `save`.

    Args:
        outline: what the spec says of its tensors, of which none overlap.
        targets: with their steps.
        path: a file, or with `max_shard_size` a folder.
        rules: those that made the steps.
        fills: what the constructors filled tensors with, by their first names, where no rule replaces it.
        seed: of every stream.
        options: as of `save`.

    Raises:
        ParamtoolError: if the files cannot be written.
    """
    touched = [each for each in targets if each.is_touched]
    totals = totals_of(touched, len(targets), rules, seed, "streams", str(torch.__version__))
    listed = outline.listed
    planned: Initialization = Report("init", listed.model, (), totals, SAVED_COLUMNS, listed.modules)
    steps = {target.name: target.steps for target in targets}
    like = _meta_tensors()
    saved = [
        StoredTensor(
            row.name, like(row.shape or (), str(row.dtype)), fills.get(row.name), steps.get(row.name, ())
        )
        for row in outline.stored
    ]
    return _store(saved, outline.entries, outline.tied, planned, path, touched, seed=seed, **options)


def _meta_tensors() -> Callable[[tuple[int, ...], str], Tensor]:
    """Return what makes tensors without values, one of each shape and dtype."""

    @cache
    def like(shape: tuple[int, ...], dtype: str) -> Tensor:
        return torch.empty(shape, dtype=getattr(torch, dtype), device="meta")

    return like


def _store(
    saved: Sequence[StoredTensor],
    entries: Sequence[Entry],
    tied: Mapping[str, str],
    planned: Initialization,
    target: Path,
    touched: Sequence[Target],
    *,
    seed: int,
    jobs: int,
    digests: bool,
    progress: Callable[[int], object],
    part: Part | None = None,
    **options: Any,
) -> Initialization:
    """Write what is `saved`, and report it; the rows are those of `planned` if nothing is `touched`."""
    metadata = {**tied, **_metadata(planned.totals)}
    if part is not None:
        part = replace(part, facts=run_facts(saved, planned.totals, options["max_shard_size"]))
    writer = WeightsWriter(target, entries, metadata=metadata, part=part, **options)
    everything = {each.name for each in saved}
    saved = [each for each in saved if writer.writes(each.name)]
    if digests:
        writer.read_elements(jobs)
    with writer, one_thread():
        write_all(saved, writer, seed, jobs, progress)
    rows = planned.rows
    by_name = {each.name: each for each in saved}
    if touched:
        rows = tuple(plan_row(each, by_name[each.name].result()) for each in touched if each.name in by_name)
    elif part is not None:  # the first part reports what is in no file: a tensor that is computed from others
        own = (
            by_name.keys() if part.number > 1 else by_name.keys() | ({row.name for row in rows} - everything)
        )
        rows = tuple(row for row in rows if row.name in own)
    if digests:  # an effective tensor is not in the file, and has its own
        rows = tuple(changed(row, sha256=writer.digests.get(row.name, row.sha256)) for row in rows)
    columns = SAVED_COLUMNS + (("sha256",) if digests else ())
    totals = replace(
        planned.totals, files=tuple(map(str, writer.files)), nbytes=writer.total_size,
        part=None if part is None else str(part), missing=writer.missing,
    )  # fmt: skip
    return replace(planned, rows=rows, totals=totals, columns=columns)


def check_target(
    module: nn.Module,
    target: Path,
    *,
    max_shard_size: int | None = None,
    part: Part | None = None,
    force: bool = False,
) -> WeightsWriter:
    """Refuse what `save` would refuse of `target`, write nothing, and return what would write.

    Raises:
        ParamtoolError: if the files cannot be written.
    """
    saved, _ = _saved(module, (), None)
    entries = [each.entry for each in saved]
    writer = WeightsWriter(target, entries, max_shard_size=max_shard_size, part=part, force=force)
    writer.check()
    return writer


def _metadata(totals: InitializationTotals) -> dict[str, str]:
    """Return what every file says of how it came to be."""
    record = {key: getattr(totals, key) for key in ("seed", "rng", "torch", "rules")}
    return {"format": "pt", "paramtool": json.dumps(record)}


def _saved(
    module: nn.Module,
    targets: Sequence[LiveTarget],
    fills: Mapping[str, Fills] | None,
    loaded: Callable[..., Iterator[Tensor]] | None = None,
) -> tuple[list[StoredTensor], dict[str, str]]:
    """Return what to store, and the names that stand for another."""
    steps = {target.name: target.steps for target in targets}
    found: list[StoredTensor] = []
    tied: dict[str, str] = {}
    for first, *others in stored_tensors(module):
        if is_lazy(first.tensor):
            raise ParamtoolError(f"'{first.name}' is lazy and has no shape", hint="give the spec an 'input'")
        read = partial(loaded, first.name) if loaded else None
        known = fills.get(first.name) if fills else None
        found.append(StoredTensor(first.name, first.tensor, known, steps.get(first.name, ()), read))
        tied.update({each.name: first.name for each in others})
    return found, tied


def is_known(module: nn.Module, fills: Mapping[str, Fills]) -> bool:
    """Return whether every tensor to store has a record of what its constructor filled it with.

    Parametrized ones do not: what a rule gives the forward is stored as something else.  Nor do tensors
    over common memory, where a rule on one changes the others.
    """
    stored = (named for named in named_tensors(module) if named.is_stored and not is_lazy(named.tensor))
    is_separate = is_plain(module) and not has_overlap(module)
    return is_separate and all(named.name in fills for named in stored if named.tensor.numel())


def is_plain(module: nn.Module) -> bool:
    """Return whether every tensor is stored as the forward uses it, so that rules may act on that."""
    return not any(isinstance(named.owner, ParametrizationList) for named in named_tensors(module))


def byte_count(module: nn.Module) -> int:
    """Return the bytes that a save of `module` writes."""
    return sum(first.tensor.nbytes for first, *_ in stored_tensors(module) if not is_lazy(first.tensor))
