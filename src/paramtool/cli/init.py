"""``paramtool init``: initialize parameters by rules."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Annotated

import typer

from paramtool.cli import options, streams
from paramtool.cli.quick_import import quick_import
from paramtool.cli.rule_options import RULES, read_rules, with_rule_options
from paramtool.errors import ParamtoolError
from paramtool.records.rule import Rule
from paramtool.render.formats import Format, render
from paramtool.sources.model import choose, open_recipe, open_spec, spec_catalog
from paramtool.sources.spec.overrides import Override


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
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the plan, fill nothing.")] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, metavar="N", help="Seed of every stream; the spec's, else 0."),
    ] = None,
    rng: Annotated[
        Rng, typer.Option("--rng", help="A stream for each name, or torch's one generator, as a loop has it.")
    ] = Rng.streams,
    values: Annotated[bool, typer.Option("--values", help="Print small tensors whole.")] = False,
    set: options.Set = None,
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
    overrides = tuple(Override.parse(each) for each in set or ())
    choice = choose(model)
    if choice.reason:
        streams.note(f"MODEL is {choice.name}, from {choice.reason}")
    spec = open_spec(choice.name, overrides)
    if seed is not None:
        spec = replace(spec, seed=seed)
    rules: list[Rule] = [
        *spec.rules,
        *(open_recipe(recipe) if recipe else ()),
        *read_rules(typed, spec_catalog()),
    ]
    if not rules:
        raise ParamtoolError("no rules", hint="as in --pattern weight --normal 0.01, or init: in the spec")
    with quick_import():
        from paramtool.operations.initialize import initialize
        from paramtool.sources.build import network

    built = network.structure(spec) if dry_run else network.values(spec, rng.value)
    for text in built.notes:
        streams.note(text)
    report = initialize(
        built.module,
        rules,
        seed=spec.seed,
        rng=rng.value,
        dry_run=dry_run,
        values=values,
        digests=format is Format.json,
        model=spec.text.name,
    )
    streams.write(render(report, format, streams.screen()))
