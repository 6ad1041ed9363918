"""``paramtool grad``: what a backward pass leaves on every parameter."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.api.gradients import gradients
from paramtool.cli import completion, console, options, panels
from paramtool.cli.columns import Columns, with_columns
from paramtool.cli.failures import Failures
from paramtool.cli.model_argument import all_rules, open_argument, with_weights
from paramtool.cli.page_file import ReportFile, deliver
from paramtool.cli.rule_options import with_rule_options
from paramtool.cli.typed_rules import RULES, Narrowing, read_rules, without_narrowing
from paramtool.errors import ParamtoolError
from paramtool.initializers.registry import offers
from paramtool.models.open import spec_catalog
from paramtool.models.tensor_file import read_inputs, read_target
from paramtool.models.torch_import import torch_import
from paramtool.patterns import compile_pattern
from paramtool.records.gradient import LossFunction
from paramtool.render.formats import FOLDED, Format, folded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paramtool.operations.listing.selection import Selection
    from paramtool.records.gradient import Gradients


@partial(with_rule_options, are_rare=True)
def grad(
    context: typer.Context,
    model: options.Network = None,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="SIZE,…|FILE",
            help="2,4 or 2,16,randint=1000, or a .pt or .npz file.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = None,
    loss: Annotated[
        LossFunction | None,
        typer.Option(
            "--loss",
            "-l",
            metavar="LOSS",
            help="Computed from the output y: sum, mean, square (Σy²) or projection (Σr·y with a fixed"
            " random r); from y and a target: cross_entropy, nll, mse, l1, smooth_l1, bce_with_logits.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="FILE|FILL",
            help="What a loss compares y with; drawn if left out.",
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
            rich_help_panel=panels.rare(panels.INPUT_AND_LOSS),
        ),
    ] = 1,
    by_use: Annotated[
        bool | None,
        typer.Option(
            "--by-use/--no-by-use",
            show_default=False,
            help="Split each gradient by use, or none; by default those of several uses.",
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
            help="The mode of the modules.",
            rich_help_panel=panels.INPUT_AND_LOSS,
        ),
    ] = True,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="VERDICT,…",
            help="Exit status 1 if a parameter has one, or meets a condition: vanishing,'ratio<1e-6'.",
            rich_help_panel=panels.GRADIENTS,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="REGEX",
            help="Show what matches REGEX; --pattern starts a rule.",
            rich_help_panel=panels.SELECT,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="FIELD",
            autocompletion=completion.gradient_fields,
            help="Sort by a column: largest first, or A to Z.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    reverse: Annotated[
        bool,
        typer.Option("--reverse", help="Reverse the order.", rich_help_panel=panels.rare(panels.OUTPUT)),
    ] = False,
    depth: Annotated[int | None, options.depth("Fold names deeper than N parts into one line.")] = None,
    all: options.All = False,
    values: Annotated[
        bool | None,
        typer.Option(
            "--values/--no-values",
            show_default=False,
            help="Print small gradients in full.  Default: if all together are small.",
            rich_help_panel=panels.rare(panels.GRADIENTS),
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
    report_file: ReportFile = None,
    quiet: options.Quiet = False,  # noqa: ARG001 - its callback acts
    format: Annotated[Format, options.format_of("grad")] = Format.table,
    json: options.Json = False,
) -> None:
    """Show the gradient of every parameter, and of each use of it.

    MODEL runs forward and backward once, with its own input and loss or those typed here, after --weights
    and the rules of init.

    ratio is the norm of the gradient divided by that of the parameter.  uses counts operations that take
    it; their shares of the gradient add up to 1.

    verdict: none (not reached), zero, nan, inf, vanishing, exploding, or ok.  A gradient vanishes or
    explodes if its norm, divided by the sum of |gradient| over the outputs, is below 1e-6 or above 1e6.
    """
    format = Format.json if json else format
    failures = Failures.read(fail_on, by_use=by_use, layers=layers)
    arrange = _arrangement(sort, reverse, depth, by_use, layers, values)
    typed, narrowing = without_narrowing(context.meta[RULES])
    selection = _selection(only, narrowing)
    dtypes = spec_catalog().dtypes
    wanted = None if target is None else read_target(target, dtypes)
    if plugin:
        with torch_import():
            context.with_resource(offers.from_files(plugin))
    opened = open_argument(model, set, seed, arg)
    opened.check_buildable()
    if input:  # which lazy modules take their shapes from as well
        opened = opened.with_inputs(read_inputs(input, dtypes))
    opened = with_weights(opened, weights, strip_prefix)
    rules = read_rules(typed, spec_catalog(), hint="e.g. --pattern weight --normal 0.01; --only narrows rows")
    report = gradients(
        opened.initialized(all_rules(opened, recipe, rules)),
        loss=loss and loss.value,
        target=wanted,
        steps=steps,
        by_use=by_use,
        layers=layers,
        training=training,
        values=values,
    )
    for text in report.totals.notes:
        console.note(text)
    selected, whole = arrange(report, selection, False)
    shown = arrange(report, selection, True)[1] if format in FOLDED and not all else whole
    deliver(with_columns(whole, columns), format, report_file, with_columns(shown, columns))
    failures.judge(selected.rows)


def _arrangement(
    sort: str | None, reverse: bool, depth: int | None, by_use: bool | None, layers: bool, values: bool | None
) -> Callable[[Gradients, Selection, bool], tuple[Gradients, Gradients]]:
    """Return the function that gives what is selected, and how it is shown; refuse wrong options at once."""
    from paramtool.operations.listing import gradient_groups

    if sort is not None:
        gradient_groups.check_sort(sort, by_use=by_use, layers=layers)
    if depth is not None and (by_use or values):
        raise ParamtoolError("--depth folds parameters together, so it cannot show --by-use or --values")

    def arrange(report: Gradients, selection: Selection, folds: bool) -> tuple[Gradients, Gradients]:
        selected = gradient_groups.select(report, selection)
        found = selected if depth is None else gradient_groups.fold_depth(selected, depth)
        found = folded(found) if folds else found
        if sort is not None:
            return selected, replace(found, rows=tuple(gradient_groups.sort(found.rows, sort, reverse)))
        if reverse:
            groups = list(gradient_groups.groups(found.rows))[::-1]
            return selected, replace(found, rows=tuple(row for group in groups for row in group))
        return selected, found

    return arrange


def _selection(only: Sequence[str] | None, narrowing: Narrowing) -> Selection:
    from paramtool.operations.listing.selection import Selection

    return Selection(
        [compile_pattern(each, option="--only") for each in only or ()],
        names=narrowing.names,
        modules=narrowing.modules,
    )
