"""``paramtool check``: whether models are what they are expected to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.api.check import check as examine
from paramtool.cli import console, options, panels
from paramtool.cli import expectation_options as expected
from paramtool.cli.columns import Columns, with_columns
from paramtool.cli.model_argument import open_argument
from paramtool.errors import ParamtoolError
from paramtool.models.open import spec_catalog
from paramtool.operations.expectations.findings import sums
from paramtool.records.expectation import (
    Expectation,
    Expectations,
)
from paramtool.records.report import Report
from paramtool.render.formats import FOR_PEOPLE, Format, render

if TYPE_CHECKING:
    from paramtool.models.model import Model

BROKEN = 1


class _NothingExpected(ParamtoolError):
    """Say that nothing is expected of a model."""


def check(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="One or more: a spec, a checkpoint, a snapshot, package.module:object, or - for stdin."
            "  Default: $PARAMTOOL_MODEL, else model.yaml here.",
        ),
    ] = None,
    parameters: expected.Parameters = None,
    trainable: expected.Trainable = None,
    bytes: expected.Bytes = None,
    names: expected.Names = None,
    frozen: expected.Frozen = None,
    dtype: expected.Dtype = None,
    shared: expected.Shared = None,
    distinct: expected.Distinct = None,
    finite: expected.Finite = False,
    init: expected.Init = None,
    gradients: expected.Gradients = None,
    same_as: expected.SameAs = None,
    weights: Annotated[
        str | None,
        options.weights(
            "Load a checkpoint into a spec or object, replacing the values that init: sets.",
            panels.rare(panels.MODEL),
        ),
    ] = None,
    seed: options.Seed = None,
    allow_none: Annotated[
        bool,
        typer.Option(
            "--allow-none",
            help="Accept a MODEL without expectations.",
            rich_help_panel=panels.rare(panels.EXPECT),
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Show only broken expectations.", rich_help_panel=panels.OUTPUT),
    ] = False,
    columns: Columns = None,
    set: options.Set = None,
    arg: options.Arg = None,
    input: options.Input = None,
    format: Annotated[Format, options.format_of("check")] = Format.table,
    json: options.Json = False,
) -> None:
    """Check MODEL against its expectations.

    Expectations come from expect: in the spec and from options.  Every one is reported; if any is
    broken, the exit status is 1.
    """
    typed = {
        "parameters": parameters, "trainable": trainable, "bytes": bytes, "names": names, "frozen": frozen,
        "dtype": dtype, "shared": shared, "distinct": distinct, "init": init, "gradients": gradients,
        "same_as": same_as,
    }  # fmt: skip
    format = Format.json if json else format
    is_any = finite or any(typed.values())
    added = expected.read_options(typed, finite, spec_catalog()) if is_any else []
    chosen: Sequence[str | None] = models or (None,)
    reports = _each(
        [partial(open_argument, each, set, seed, arg, input) for each in chosen], added, allow_none, weights
    )
    report = _together(reports)
    if quiet:
        report = replace(report, rows=tuple(row for row in report.rows if not row.holds))
    if report.rows or format not in (*FOR_PEOPLE, Format.github):
        console.write(render(with_columns(report, columns), format, console.screen()))
    if report.totals.broken:
        raise typer.Exit(BROKEN)


def _each(
    models: Sequence[Callable[[], Model]],
    added: Sequence[Expectation],
    allow_none: bool,
    weights: str | None,
) -> list[Expectations]:
    """Return the report of each model; an error in one does not hide those in the next."""
    reports = []
    refused: list[ParamtoolError] = []
    for model in models:
        try:
            reports.append(_one(model(), added, allow_none, weights))
        except ParamtoolError as error:
            refused.append(error)
    refused = _hinted_once(refused)
    for each in refused[:-1]:
        console.complain(each)
    if refused:
        raise refused[-1]
    return reports


def _hinted_once(refused: list[ParamtoolError]) -> list[ParamtoolError]:
    """Leave the hint that is the same for all models to the last of them."""
    repeated = [each for each in refused if isinstance(each, _NothingExpected)][:-1]
    return [ParamtoolError(each.message) if each in repeated else each for each in refused]


def _one(model: Model, added: Sequence[Expectation], allow_none: bool, weights: str | None) -> Expectations:
    if weights is not None:
        model = model.with_weights(weights)
    if not (model.expectations or added):
        message = f"{model.name} has no expectations"
        if not allow_none:
            hint = "e.g. expect: {parameters: 124M} in the spec, or --parameters 124M"
            raise _NothingExpected(message, hint=hint)
        console.note(message)
    report = examine(model, added, allow_none=allow_none)
    if weights is not None:
        model.listing()  # which compares the names and shapes, whatever is expected
    return report


def _together(reports: list[Expectations]) -> Expectations:
    rows = tuple(row for report in reports for row in report.rows)
    report = Report("check", reports[0].model, rows, sums(rows), reports[0].columns)
    if len(reports) == 1:
        return report
    return replace(
        report, model=None, columns=("model", *(each for each in report.columns if each != "model"))
    )
