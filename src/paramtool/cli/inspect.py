"""``paramtool inspect``: every named parameter of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.cli import options, streams
from paramtool.cli.quick_import import quick_import
from paramtool.errors import ParamtoolError
from paramtool.patterns import compile_pattern
from paramtool.records.parameter import (
    KIND_COLUMNS,
    STATISTICS_COLUMNS,
    ParameterRow,
    ParameterTotals,
)
from paramtool.records.report import Report
from paramtool.render.formats import FOR_PEOPLE, Format, folded, render
from paramtool.sources.model import choose, open_spec
from paramtool.sources.spec.limits import MAX_INTEGER
from paramtool.sources.spec.overrides import Override

if TYPE_CHECKING:
    from paramtool.operations.selection import Selection
    from paramtool.sources.spec.document import Spec


def inspect(
    model: options.Model = None,
    pattern: options.Pattern = None,
    exclude: options.Exclude = None,
    type: options.Type = None,
    module: Annotated[
        str | None,
        typer.Option("--module", "-m", metavar="PATH", help="List one submodule, by its own names."),
    ] = None,
    buffers: Annotated[
        bool,
        typer.Option("--buffers", "-b", help="Also list buffers and plain tensors, which are no parameters."),
    ] = False,
    values: Annotated[bool, typer.Option("--values", help="Print the values, as torch does.")] = False,
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Add mean, std, min, max, norm, zeros, NaN, infinities, histogram."),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, metavar="N", help="Seed of the initial values; the spec's, else 0."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="FIELD", help="Sort by a column: largest first, or A to Z."),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Turn the order around.")] = False,
    depth: Annotated[
        int | None, typer.Option("--depth", "-d", min=1, metavar="N", help="Fold names of more than N parts.")
    ] = None,
    all: Annotated[
        bool, typer.Option("--all", "-a", help="Show each of identical numbered blocks, not h.{0..11}.")
    ] = False,
    set: options.Set = None,
    format: options.FormatOption = Format.table,
    json: options.Json = False,
) -> None:
    """List the named parameters of MODEL.

    A tensor under several names has a line for each and counts once in the totals.
    """
    from paramtool.operations.selection import Selection

    selection = Selection(
        [compile_pattern(each, option="--pattern") for each in pattern or ()],
        [compile_pattern(each, option="--exclude") for each in exclude or ()],
        type or (),
    )
    if seed is not None and seed > MAX_INTEGER:
        raise ParamtoolError("--seed does not fit in 64 bits")
    overrides = tuple(Override.parse(each) for each in set or ())
    choice = choose(model)
    if choice.reason:
        streams.note(f"MODEL is {choice.name}, from {choice.reason}")
    spec = open_spec(choice.name, overrides)
    if seed is not None:
        spec = replace(spec, seed=seed)
    report = _read(spec, module, values, stats)
    report = _arranged(report, selection, buffers, sort, reverse, depth)
    format = Format.json if json else format
    if format in FOR_PEOPLE and not all:
        report = folded(report)
    streams.write(render(report, format, streams.screen()))


def _read(spec: Spec, module: str | None, values: bool, stats: bool) -> Report[ParameterRow, ParameterTotals]:
    """Build the model and list it; torch comes in here."""
    with quick_import():
        from paramtool.operations.parameters import parameters
        from paramtool.sources.build import network

    built = network.values(spec) if values or stats else network.structure(spec)
    for text in built.notes:
        streams.note(text)
    part = network.submodule(built.module, module) if module else built.module
    report = parameters(part, stats=stats, values=values, model=spec.text.name)
    for row in report.rows:
        if row.kind == "tensor":
            streams.note(
                f"{row.name} {list(row.shape or ())} is a plain tensor, not a parameter:"
                " no optimizer, state_dict or .to() sees it"
            )
    return report


def _arranged(
    report: Report[ParameterRow, ParameterTotals],
    selection: Selection,
    buffers: bool,
    sort: str | None,
    reverse: bool,
    depth: int | None,
) -> Report[ParameterRow, ParameterTotals]:
    """Select, fold and sort the rows; the totals are those of what was selected."""
    from paramtool.operations import depth as depths
    from paramtool.operations import selection as selections
    from paramtool.operations.totals import totals

    listed = [row for row in report.rows if buffers or row.kind == "parameter"]
    kept = selections.select(listed, selection)
    if not kept and not report.rows:
        streams.note("the model has no parameters")
    sums = totals(kept if selection else report.rows)
    columns = report.columns
    if buffers:
        columns = (*columns[:2], *KIND_COLUMNS, *columns[2:])
    if depth is not None:
        if "histogram" in columns or "values" in columns:
            raise ParamtoolError("--depth folds tensors together, which have no common --stats or --values")
        kept = depths.fold_depth(kept, depth, report.modules)
        columns = (columns[0], "count", *columns[1:])
    if sort in STATISTICS_COLUMNS and sort not in columns:
        raise ParamtoolError(f"cannot sort by '{sort}', which is not computed", hint="add --stats")
    if sort is not None:
        kept = selections.sort(kept, sort, reverse)
    elif reverse:
        kept = kept[::-1]
    return replace(report, rows=tuple(kept), totals=sums, columns=columns)
