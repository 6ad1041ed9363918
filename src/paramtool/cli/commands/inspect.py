"""``paramtool inspect``: every named parameter of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.cli import completion, console, cost_options, options, panels
from paramtool.cli.columns import Columns, measured_by, with_columns
from paramtool.cli.cost_options import COSTLESS, check_cost, show_cost
from paramtool.cli.listing_notes import tell_of_plain_tensors, unlisted
from paramtool.cli.listing_options import SHAPES, ListingCommand, Top, Total, check_total, one_number
from paramtool.cli.model_argument import (
    open_argument,
    selected_by,
    shown_by_init,
    tell_of_rules,
    with_weights,
)
from paramtool.cli.page_file import ReportFile, deliver
from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.render.formats import FOLDED, FOR_PEOPLE, Format, folded

if TYPE_CHECKING:
    from paramtool.models.model import Model
    from paramtool.operations.listing.selection import Selection
    from paramtool.records.checkpoints import Checkpoints
    from paramtool.records.contents import Contents
    from paramtool.records.definitions import Definitions
    from paramtool.records.parameter import Listing

_OF_ONE = (
    "--cost", "--module", "--stats", "--values", "--depth", "--weights", "--columns", "--top", "--total",
)  # fmt: skip
"""Options that several models do not have, beside those that change a model."""


def inspect(
    models: options.Models = None,
    pattern: options.Pattern = None,
    name: options.Name = None,
    exclude: options.Exclude = None,
    type: options.Type = None,
    module: Annotated[
        str | None,
        typer.Option(
            "--module",
            "-m",
            metavar="PATH",
            autocompletion=completion.submodules,
            help="List one submodule, with names relative to it.",
            rich_help_panel=panels.SELECT,
        ),
    ] = None,
    buffers: Annotated[
        bool,
        typer.Option(
            "--buffers",
            "-b",
            help="List buffers and plain tensors too.",
            rich_help_panel=panels.SELECT,
        ),
    ] = False,
    stats: Annotated[
        bool,
        typer.Option(
            "--stats",
            help="Add mean, std, min, max, … of the finite elements.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = False,
    values: Annotated[
        bool,
        typer.Option("--values", help="Print the values, as torch does.", rich_help_panel=panels.OUTPUT),
    ] = False,
    cost: cost_options.Cost = False,
    optimizer: cost_options.Optimizers = None,
    dtype: cost_options.Dtype = None,
    columns: Columns = None,
    depth: Annotated[int | None, options.depth("Fold names deeper than N parts into one line.")] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="FIELD",
            autocompletion=completion.sort_fields,
            help="Sort by a column: largest first, or A to Z.",
            rich_help_panel=panels.OUTPUT,
        ),
    ] = None,
    reverse: Annotated[
        bool,
        typer.Option("--reverse", help="Reverse the order.", rich_help_panel=panels.rare(panels.OUTPUT)),
    ] = False,
    top: Top = None,
    total: Total = None,
    contents: Annotated[
        bool,
        typer.Option(
            "--contents",
            help="Show what else a checkpoint holds.",
            rich_help_panel=panels.rare(panels.OUTPUT),
        ),
    ] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="First verify the checksums of a checkpoint, or its sizes and offsets.",
            rich_help_panel=panels.rare(panels.MODEL),
        ),
    ] = False,
    seed: options.Seed = None,
    all: options.All = False,
    weights: options.Weights = None,
    strip_prefix: options.StripPrefix = None,
    set: options.Set = None,
    arg: options.Arg = None,
    input: cost_options.Input = None,
    report_file: ReportFile = None,
    quiet: options.Quiet = False,  # noqa: ARG001 - its callback acts
    format: Annotated[Format, options.format_of("inspect")] = Format.table,
    json: options.Json = False,
) -> None:
    """List the named parameters of MODEL.

    A tensor with several names has one line for each, but counts once in the totals.  Several MODELs have
    a line of totals each; if one cannot be listed, its line says why and the exit status is 2.
    """
    format = Format.json if json else format
    stats, values = measured_by(columns, stats, values)
    selection = selected_by(pattern, exclude, type, name)
    if models is None or len(models) == 1:
        _check(sort, depth, stats, values, cost)
    asked: dict[str, object] = {
        "--pattern": pattern, "--name": name, "--exclude": exclude, "--type": type,
        "--module": module, "--stats": stats, "--values": values, "--sort": sort, "--depth": depth,
        "--weights": weights, "--columns": columns, "--top": top, "--total": total, "--cost": cost,
    }  # fmt: skip
    check_cost(
        cost,
        {"--optimizer": optimizer, "--dtype": dtype},
        {"--buffers": buffers, "--contents": contents, **{each: asked[each] for each in COSTLESS}},
    )
    if models is not None and len(models) > 1:
        more = {
            **{option: value for option, value in asked.items() if option in _OF_ONE},
            "--buffers": buffers, "--contents": contents, "--verify": verify, "--seed": seed is not None,
            "--strip-prefix": strip_prefix, "--set": set, "--arg": arg, "--input": input,
        }  # fmt: skip
        _list_several(models, selection, more, sort, reverse, format, report_file)
        return
    model = models[0] if models else None
    opened = open_argument(model, set, seed, arg, None if cost else input)
    opened = with_weights(_verified(opened) if verify else opened, weights, strip_prefix)
    if cost:
        show_cost(
            opened, input, selection, module=module, optimizers=optimizer, dtype=dtype, depth=depth,
            sort=sort, reverse=reverse, top=top, columns=columns, format=format, all=all,
            report_file=report_file,
        )  # fmt: skip
        return
    check_total(total, format, {each: asked[each] for each in SHAPES} | {"--report": report_file})
    beside = _beside(opened, contents, [option for option, value in asked.items() if value], format)
    if beside is not None:
        deliver(beside, format, report_file)
        return
    if stats or values:
        tell_of_rules(opened, shown_by_init(model, set, seed, values=values))
    report = _listed(opened, module, stats, values, type)
    report = _arranged(report, selection, buffers, depth)
    if total is not None:
        console.write([one_number(report, total)])
        return
    both = (report, folded(report) if format in FOLDED and not all else report)
    whole, shown = (with_columns(_ordered(each, sort, reverse, top), columns) for each in both)
    deliver(whole, format, report_file, shown)


inspect.command_class = ListingCommand  # type: ignore[attr-defined]


def _listed(
    opened: Model, module: str | None, stats: bool, values: bool, type: Sequence[str] | None
) -> Listing:
    report = opened.listing(module=module, stats=stats, values=values)
    if type and report.rows and not any(row.type for row in report.rows):
        raise ParamtoolError(f"{opened.name} has no classes for --type", hint="--pattern selects by name")
    tell_of_plain_tensors(report, module)
    return report


def _verified(opened: Model) -> Model:
    opened.verify()
    return opened


def _ordered(report: Listing, sort: str | None, reverse: bool, top: int | None) -> Listing:
    if top is not None:
        from paramtool.operations.listing.largest import largest

        return largest(report, top, sort, reverse)
    if sort is not None:
        from paramtool.operations.listing.selection import sort as sorted_rows

        return replace(report, rows=tuple(sorted_rows(report.rows, sort, reverse)))
    return replace(report, rows=report.rows[::-1]) if reverse else report


def _list_several(
    models: Sequence[str],
    selection: Selection,
    asked: Mapping[str, object],
    sort: str | None,
    reverse: bool,
    format: Format,
    report_file: str | None,
) -> None:
    """Write a line for each model.

    Raises:
        typer.Exit: with 2 if one cannot be listed.
    """
    from paramtool.cli.several_models import list_models, sort_models

    report = sort_models(list_models(models, selection, asked), sort, reverse=reverse)
    deliver(report, format, report_file)
    if console.is_silent():
        for row in report.rows:
            if row.error is not None:
                console.complain(ParamtoolError(f"{row.name}: {row.error}"))
    if report.totals.failed:
        raise typer.Exit(2)


def _check(sort: str | None, depth: int | None, stats: bool, values: bool, cost: bool) -> None:
    """Refuse options that contradict each other before anything is built."""
    from paramtool.operations.listing.selection import check_sort
    from paramtool.records.parameter import STATISTICS_COLUMNS

    if depth is not None and values:
        raise ParamtoolError("--depth folds tensors together, so it cannot show --values")
    if sort is not None and not cost:
        check_sort(sort)
    if sort in STATISTICS_COLUMNS and not stats:
        raise ParamtoolError(f"cannot sort by '{sort}', which is not computed", hint="add --stats")


def _beside(
    opened: Model, contents: bool, asked: Sequence[str], format: Format
) -> Contents | Checkpoints | Definitions | None:
    """Return what is shown instead of tensors: if it was asked for, or there are none and nothing was."""
    if contents and asked:
        raise ParamtoolError(f"--contents shows no tensors, and {asked[0]} is about these")
    if contents:
        return opened.inside()
    return None if asked else opened.overview(for_people=format in FOR_PEOPLE)


def _arranged(report: Listing, selection: Selection, buffers: bool, depth: int | None) -> Listing:
    """Select the rows and fold deep ones; the totals are those of what was selected."""
    from paramtool.operations.listing import depth as depths
    from paramtool.operations.listing import selection as selections
    from paramtool.records.parameter import KIND_COLUMNS
    from paramtool.records.totals import totals

    listed = [row for row in report.rows if buffers or row.is_parameter]
    try:
        kept = selections.select(listed, selection)
    except NothingMatched as error:
        raise NothingMatched(error.message, hint=unlisted(report, selection) or error.hint) from None
    for note in selection.notes(row.name for row in listed):
        console.note(note)
    sums = totals(kept) if selection else report.totals
    columns = report.columns
    if buffers:
        columns = (*columns[:2], *KIND_COLUMNS, *columns[2:])
    if depth is not None:
        kept = depths.fold_depth(kept, depth, report.modules)
        columns = (columns[0], "count", *(each for each in columns[1:] if each != "histogram"))
    return replace(report, rows=tuple(kept), totals=sums, columns=columns)
