"""``paramtool check``: whether models are what they are expected to be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.api.check import examined
from paramtool.cli import console, options, panels
from paramtool.cli import expectation_options as expected
from paramtool.cli.columns import Columns, with_columns
from paramtool.cli.model_argument import open_argument, with_weights
from paramtool.cli.page_file import ReportFile, deliver
from paramtool.cli.reference import Reference
from paramtool.cli.several_checks import (
    check_each,
    check_options,
    each_file,
    names_of,
    nothing_expected,
    without_errors,
)
from paramtool.errors import ParamtoolError
from paramtool.models.open import spec_catalog
from paramtool.records.expectation import Expectation, Expectations
from paramtool.render.formats import FOLDED, Format

if TYPE_CHECKING:
    from paramtool.models.model import Model

BROKEN, FAILED = 1, 2


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
    strip_prefix: options.StripPrefix = None,
    arg_same_as: expected.ArgSameAs = None,
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
        typer.Option("--quiet", "-q", help="Show only what is broken.", rich_help_panel=panels.OUTPUT),
    ] = False,
    columns: Columns = None,
    set: options.Set = None,
    arg: options.Arg = None,
    input: options.Input = None,
    report_file: ReportFile = None,
    format: Annotated[Format, options.format_of("check")] = Format.table,
    json: options.Json = False,
) -> None:
    """Check MODEL against its expectations.

    Expectations come from expect: in the spec and from options.  Exit status 1 if one is broken, 2 if a
    MODEL cannot be checked.
    """
    typed = {
        "parameters": parameters, "trainable": trainable, "bytes": bytes, "names": names, "frozen": frozen,
        "dtype": dtype, "shared": shared, "distinct": distinct, "init": init, "gradients": gradients,
        "same_as": same_as,
    }  # fmt: skip
    format = Format.json if json else format
    is_any = finite or any(typed.values())
    added = expected.read_options(typed, finite, spec_catalog()) if is_any else []
    check_options(set, input)
    if arg_same_as and not same_as:
        raise ParamtoolError("--arg-same-as requires --same-as")
    chosen: Sequence[str | None] = models or (None,)

    def check_one(number: int) -> Expectations:
        with each_file(chosen[number]):
            opened = open_argument(chosen[number], set, seed, arg, input)
            if opened.members():
                opened.listing()  # which says so
        reference = Reference(arg_same_as or (), strip_prefix or ())
        strips_later = same_as is not None and weights is None
        model = reference.strip(opened) if strips_later else with_weights(opened, weights, strip_prefix)
        return _one(model, added, allow_none, reference, has_weights=weights is not None)

    with console.without_notes() if quiet else nullcontext():
        report = check_each(names_of(chosen), check_one, complain=not _are_annotated(format))
    if quiet and format is not Format.junit:  # a suite without tests is an error to some servers
        report = replace(report, rows=tuple(row for row in report.rows if not row.holds))
    shown = report
    if format is Format.table or (format in FOLDED and len(chosen) == 1):
        shown = without_errors(report)
    report, shown = with_columns(report, columns), with_columns(shown, columns)
    is_silent = not shown.rows and format in (*FOLDED, Format.github)
    deliver(report, format, report_file, shown, is_silent=is_silent)
    if report.totals.broken or report.totals.failed:
        raise typer.Exit(FAILED if report.totals.failed else BROKEN)


def _are_annotated(format: Format) -> bool:
    """Return whether the log of a GitHub runner shows the errors in the report as lines."""
    if format is not Format.github:
        return False
    from paramtool.render.github import is_read_by_runner

    return is_read_by_runner()


def _one(
    model: Model, added: Sequence[Expectation], allow_none: bool, reference: Reference, *, has_weights: bool
) -> Expectations:
    if not (model.expectations or added):
        error = nothing_expected(model)
        if not allow_none:
            raise error
        console.note(error.message)
    report = examined(model, (*model.expectations, *added), reference.open)
    if has_weights:
        model.listing()  # which compares the names and shapes, whatever is expected
    return report
