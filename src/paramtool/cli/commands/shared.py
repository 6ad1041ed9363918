"""``paramtool shared``: which names are one tensor, and which only overlap."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from paramtool.cli import console, options, panels
from paramtool.cli.columns import Columns, with_columns
from paramtool.cli.model_argument import open_argument, selected_by, tell_of_rules, with_weights
from paramtool.cli.page_file import ReportFile, deliver
from paramtool.errors import ParamtoolError, Unmet
from paramtool.records.sharing import Sharing
from paramtool.render.formats import FOLDED, Format, folded


class FailOn(str, Enum):
    """What makes the answer no."""

    any = "any"
    aliased = "aliased"


def shared(
    model: options.Model = None,
    pattern: options.Pattern = None,
    name: options.Name = None,
    module: options.Module = None,
    exclude: options.Exclude = None,
    type: options.Type = None,
    by_value: Annotated[
        bool,
        typer.Option(
            "--by-value",
            help="Also group tensors that share nothing but have the same bytes.",
            rich_help_panel=panels.SELECT,
        ),
    ] = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            "--fail-on",
            help="Exit status 1 if any group is listed, or any aliased one.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    columns: Columns = None,
    seed: options.Seed = None,
    all: options.All = False,
    weights: options.Weights = None,
    strip_prefix: options.StripPrefix = None,
    set: options.Set = None,
    arg: options.Arg = None,
    input: options.Input = None,
    report_file: ReportFile = None,
    quiet: options.Quiet = False,  # noqa: ARG001 - its callback acts
    format: Annotated[Format, options.format_of("shared")] = Format.table,
    json: options.Json = False,
) -> None:
    """Show which names in MODEL are one tensor, and which overlap.

    Names of one tensor are tied; different tensors over the same memory are aliased.  --pattern,
    --name, --module, --exclude and --type keep a group if they keep any of its names.  Exit status 1
    if tensors that the spec expects to be shared are not, or distinct ones are.
    """
    from paramtool.operations.expectations.sharing import unmet
    from paramtool.operations.sharing.groups import share

    format = Format.json if json else format
    selection = selected_by(pattern, exclude, type, name, module)
    opened = open_argument(model, set, seed, arg, input)
    opened = with_weights(opened, weights, strip_prefix)
    if by_value:
        tell_of_rules(opened, "'init -o FILE.safetensors' writes")
    layout = opened.layout(by_value=by_value)
    report = share(layout, selection=selection)
    for note in selection.notes(row.name for row in layout.listed.rows):
        console.note(note)
    is_folded = format in FOLDED and not all
    report = with_columns(report, columns)
    deliver(report, format, report_file, folded(report) if is_folded else report)
    sharing = opened.representatives() if opened.expectations else {}
    broken = [*unmet(opened.expectations, layout.listed.rows, sharing), *_failed(report, fail_on)]
    if broken:
        raise Unmet(broken)


def _failed(report: Sharing, fail_on: FailOn | None) -> list[ParamtoolError]:
    count = report.totals.aliased if fail_on is FailOn.aliased else report.totals.groups
    if fail_on is None or not count:
        return []
    groups = f"{count:,} group{' is' if count == 1 else 's are'}"
    found = "aliased" if fail_on is FailOn.aliased else "listed"
    return [ParamtoolError(f"{groups} {found}, but --fail-on {fail_on.value} was given")]
