"""``paramtool init``: initialize parameters by rules."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from paramtool import plugins
from paramtool.cli import options, streams
from paramtool.cli.building import build
from paramtool.cli.chosen import open_chosen
from paramtool.cli.cores import available_cores
from paramtool.cli.progress import progress_bar
from paramtool.cli.quick_import import quick_import
from paramtool.cli.rule_options import RULES, read_rules, with_rule_options
from paramtool.errors import ParamtoolError
from paramtool.records.initialization import InitializationRow, InitializationTotals
from paramtool.records.report import Report
from paramtool.records.rule import Rule
from paramtool.render.formats import Format, render
from paramtool.sources.model import Buildable, buildable, open_recipe, spec_catalog


class Rng(str, Enum):
    """Where random numbers come from."""

    streams = "streams"
    torch = "torch"


@with_rule_options
def init(
    context: typer.Context,
    model: options.Model = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="FILE", help="Rules from a file, before those typed.")
    ] = None,
    plugin: options.Plugin = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the plan, fill nothing.")] = False,
    seed: options.Seed = None,
    rng: Annotated[
        Rng, typer.Option("--rng", help="A stream for each name, or torch's one generator, as a loop has it.")
    ] = Rng.streams,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="PATH", help="Write safetensors to PATH."),
    ] = None,
    max_shard_size: Annotated[
        str | None,
        typer.Option("--max-shard-size", metavar="SIZE", help="Make PATH a folder of files of SIZE, as 5GB."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is at PATH.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, metavar="N", help="Threads; they change no value."),
    ] = None,
    values: Annotated[bool, typer.Option("--values", help="Print small tensors whole.")] = False,
    weights: options.Weights = None,
    set: options.Set = None,
    arg: options.Arg = None,
    format: options.FormatOption = Format.table,
    json: options.Json = False,
) -> None:
    """Initialize the parameters of MODEL by rules.

    Rules run top to bottom: those of the spec's init, of --recipe, then those typed.  Each
    initializer closes the selector before it: --pattern weight --normal 0.01 --pattern bias --zeros
    is two rules.
    """
    typed = context.meta[RULES]
    format = Format.json if json else format
    if format is Format.tree:
        raise ParamtoolError("init has no tree", hint="'paramtool inspect --format tree' has one")
    if plugin:
        with quick_import():
            context.with_resource(plugins.from_files(plugin))
    source = buildable(open_chosen(model, set, seed, arg))
    rules: list[Rule] = [
        *source.rules,
        *(open_recipe(recipe) if recipe else ()),
        *read_rules(typed, spec_catalog()),
    ]
    if not rules:
        raise ParamtoolError("no rules", hint="as in --pattern weight --normal 0.01, or init: in the spec")
    with quick_import():
        from paramtool.operations.initialize import initialize

    if output is not None and not dry_run:
        report = _save(source, weights, rules, rng, output, max_shard_size, force, jobs)
    else:
        built = build(source, values=not dry_run, weights=weights, rng=rng.value)
        report = initialize(
            built.module,
            rules,
            seed=source.seed,
            rng=rng.value,
            dry_run=dry_run,
            values=values,
            digests=format is Format.json,
            model=source.name,
        )
    streams.write(render(report, format, streams.screen()))


def _save(
    source: Buildable,
    weights: str | None,
    rules: list[Rule],
    rng: Rng,
    output: str,
    max_shard_size: str | None,
    force: bool,
    jobs: int | None,
) -> Report[InitializationRow, InitializationTotals]:
    """Write the weights: straight to disk where every fill is known, else from memory."""
    from paramtool.files.sizes import parse_size
    from paramtool.operations.initialize import initialize
    from paramtool.operations.saving import byte_count, is_known, save
    from paramtool.sources import networks

    size = parse_size(max_shard_size) if max_shard_size is not None else None
    common: dict[str, Any] = {
        "seed": source.seed,
        "jobs": jobs or available_cores(),
        "max_shard_size": size,
        "force": force,
        "model": source.name,
    }
    target = Path(output)
    if rng is Rng.streams and weights is None:
        built, sketch = networks.sketch(source)
        if is_known(built.module, sketch.fills_of):
            for text in built.notes:
                streams.note(text)
            with progress_bar(byte_count(built.module)) as progress:
                return save(
                    built.module, target, rules, fills_of=sketch.fills_of, progress=progress, **common
                )
    built = build(source, values=True, weights=weights, rng=rng.value)
    report = initialize(built.module, rules, seed=source.seed, rng=rng.value, model=source.name)
    with progress_bar(byte_count(built.module)) as progress:
        written = save(built.module, target, progress=progress, **common).totals
    return replace(report, totals=replace(report.totals, files=written.files, nbytes=written.nbytes))
