"""Write what `init` makes: what the options say of it, and the way that takes the least memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paramtool.cli import console
from paramtool.cli.building import build
from paramtool.cli.cores import available_cores
from paramtool.cli.progress import progress_bar
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.language.option_values import read_size
from paramtool.models.open import Buildable, open_checkpoint
from paramtool.records.initialization import Initialization
from paramtool.records.rule import Rule

if TYPE_CHECKING:
    from paramtool.network.construction import Network


@dataclass(frozen=True)
class Saving:
    """Where to write, and how."""

    target: Path
    max_shard_size: int | None
    force: bool
    jobs: int


def read_saving(
    output: str | None, max_shard_size: str | None, force: bool, jobs: int | None
) -> Saving | None:
    """Return what the options say of the file.

    Raises:
        ParamtoolError: for options that say nothing without one, and for no size.
    """
    if output is None:
        given = {"--max-shard-size": max_shard_size is not None, "--force": force, "--jobs": jobs is not None}
        for option, is_given in given.items():
            if is_given:
                raise ParamtoolError(f"{option} is of --output PATH, which is not given")
        return None
    if not output:  # with shards it would be the folder one is in
        raise ParamtoolError("the PATH of --output is empty")
    size = read_size("--max-shard-size", max_shard_size, "init") if max_shard_size is not None else None
    return Saving(Path(output), size, force, jobs or available_cores())


def write_weights(
    source: Buildable, weights: str | None, rules: list[Rule], rng: str, saving: Saving, digests: bool
) -> Initialization:
    """Write the weights: straight to disk where every fill is known or stored, else from memory.

    Raises:
        NothingMatched: where a rule matches no parameter.
        Problems: with everything that stands against the plan or the weights.
        ParamtoolError: where the files cannot be written.
    """
    from paramtool.models import networks
    from paramtool.operations.initialization.rule_application import initialize
    from paramtool.operations.initialization.weights_file import (
        byte_count,
        check_target,
        is_known,
        is_plain,
        save,
    )

    common: dict[str, Any] = {"digests": digests, "model": source.name, **vars(saving)}
    if weights is not None and (not rules or rng == "streams"):
        checkpoint = open_checkpoint(weights)
        built = networks.structure(source)
        if not rules or is_plain(built.module):
            return _save_loaded(built, checkpoint, rules, source.seed, common)
    built, sketch = networks.sketch(source)
    if weights is None and rng == "streams" and is_known(built.module, sketch.fills_of):
        for text in built.notes:
            console.note(text)
        with progress_bar(byte_count(built.module)) as progress:
            return save(
                built.module,
                rules=rules,
                fills_of=sketch.fills_of,
                seed=source.seed,
                progress=progress,
                **common,
            )
    check_target(built.module, saving.target, max_shard_size=saving.max_shard_size, force=saving.force)
    built = build(source, values=True, weights=weights, rng=rng)
    done = initialize(built.module, rules, seed=source.seed, rng=rng, digests=digests, model=source.name)
    with progress_bar(byte_count(built.module)) as progress:
        return save(built.module, done=done, progress=progress, **common)


def _save_loaded(
    built: Network, checkpoint: Checkpoint, rules: list[Rule], seed: int, common: dict[str, Any]
) -> Initialization:
    """Write a checkpoint as the model has it, block by block, with what rules make of it."""
    from paramtool.network.strict_load import LoadedValues
    from paramtool.operations.initialization.weights_file import byte_count, save

    values = LoadedValues(built.module, checkpoint)
    for text in (*built.notes, *values.notes):
        console.note(text)
    with progress_bar(byte_count(built.module)) as progress:
        report = save(built.module, rules=rules, loaded=values.blocks, seed=seed, progress=progress, **common)
    for text in values.warnings:
        console.note(text)
    return report
