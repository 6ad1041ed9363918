"""``paramtool grad``: what a backward pass leaves on every parameter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Annotated

import typer

from paramtool.api.gradients import gradients
from paramtool.cli import console, options, panels
from paramtool.cli.columns import Columns, with_columns
from paramtool.cli.model_argument import all_rules, open_argument, with_weights
from paramtool.cli.rule_options import RULES, read_rules, with_rule_options
from paramtool.errors import ParamtoolError, Unmet
from paramtool.initializers.registry import offers
from paramtool.language.option_inputs import read_inputs
from paramtool.models.open import spec_catalog
from paramtool.models.torch_import import torch_import
from paramtool.records.gradient import GradientRow, LossFunction
from paramtool.render.formats import Format, render
from paramtool.render.names import shown
from paramtool.suggestion import did_you_mean

FAILURES = {
    "none": ("none",),
    "zero": ("zero",),
    "nan": ("nan",),
    "inf": ("inf",),
    "nonfinite": ("nan", "inf"),
}
MOST_NAMED = 5
"""Parameters that a failure names one by one."""


@partial(with_rule_options, are_rare=True)
def grad(
    context: typer.Context,
    model: options.Network = None,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="SIZE,…[,FILL]",
            help="An input to the model, e.g. 2,4 or 2,16,randint=1000; repeat for several.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = None,
    loss: Annotated[
        LossFunction | None,
        typer.Option(
            "--loss",
            "-l",
            help="Computed from the output y: Σy, its mean, Σy², or Σr·y with a fixed random r.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = None,
    steps: Annotated[
        int,
        typer.Option(
            "--steps",
            min=1,
            metavar="N",
            help="Passes to run, without zeroing gradients in between.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = 1,
    by_use: Annotated[
        bool | None,
        typer.Option(
            "--by-use/--no-by-use",
            show_default=False,
            help="Split every gradient by use, or none.  Default: only for parameters with several uses,"
            " such as tied ones.",
            rich_help_panel=panels.GRADIENTS,
        ),
    ] = None,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Add the std of each output and of its gradient.",
            rich_help_panel=panels.GRADIENTS,
        ),
    ] = False,
    training: Annotated[
        bool,
        typer.Option(
            "--train/--eval",
            help="Run in training or evaluation mode.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = True,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="VERDICTS",
            help="Exit status 1 if any of none,zero,nan,inf,nonfinite is found.",
            rich_help_panel=panels.GRADIENTS,
        ),
    ] = None,
    values: Annotated[
        bool | None,
        typer.Option(
            "--values/--no-values",
            show_default=False,
            help="Print small gradients in full.  Default: if all together are small.",
            rich_help_panel=panels.GRADIENTS,
        ),
    ] = None,
    columns: Columns = None,
    recipe: options.Recipe = None,
    plugin: options.Plugin = None,
    seed: options.Seed = None,
    weights: options.Weights = None,
    strip_prefix: options.StripPrefix = None,
    set: options.Set = None,
    arg: options.Arg = None,
    format: Annotated[Format, options.format_of("grad")] = Format.table,
    json: options.Json = False,
) -> None:
    """Run MODEL forward and backward; show the gradients.

    A gradient is split into what each use of the parameter added to it.  The input and the loss come
    from the spec or from options.  First the parameters are filled as in paramtool init: by the
    spec's init or by --weights, then by --recipe, then by rules on the command line.
    """
    format = Format.json if json else format
    failures = _failures(fail_on)
    if plugin:
        with torch_import():
            context.with_resource(offers.from_files(plugin))
    opened = open_argument(model, set, seed, arg)
    opened.check_buildable()
    if input:  # which lazy modules take their shapes from as well
        opened = opened.with_inputs(read_inputs(input, spec_catalog().dtypes))
    opened = with_weights(opened, weights, strip_prefix)
    rules = all_rules(opened, recipe, read_rules(context.meta[RULES], spec_catalog()))
    report = gradients(
        opened.initialized(rules),
        loss=loss and loss.value,
        steps=steps,
        by_use=by_use,
        layers=layers,
        training=training,
        values=values,
    )
    for text in report.totals.notes:
        console.note(text)
    console.write(render(with_columns(report, columns), format, console.screen()))
    _judge(report.rows, failures)


def _failures(given: str | None) -> frozenset[str]:
    """Return the verdicts that are failures."""
    found: set[str] = set()
    for word in (each.strip() for each in given.split(",")) if given is not None else ():
        if word not in FAILURES:
            known = f"use any of {', '.join(FAILURES)}"
            hint = did_you_mean(word, FAILURES) or known
            raise ParamtoolError(f"--fail-on: unknown verdict '{word}'", hint=hint)
        found.update(FAILURES[word])
    return frozenset(found)


def _judge(rows: Iterable[GradientRow], failures: frozenset[str]) -> None:
    """Raise if a trainable parameter has a failing verdict."""
    failed = [
        row for row in rows if row.kind == "parameter" and row.requires_grad and row.verdict in failures
    ]
    if failed:
        named = ", ".join(f"'{shown(row.name)}' ({row.verdict})" for row in failed[:MOST_NAMED])
        more = f" and {len(failed) - MOST_NAMED:,} more" if len(failed) > MOST_NAMED else ""
        raise Unmet([ParamtoolError(f"--fail-on: {named}{more}")])
