"""``paramtool diff``: how one model differs from another, and whether its checkpoint would load."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from paramtool.cli import console, options, panels
from paramtool.cli.columns import Columns, split_columns, with_columns
from paramtool.cli.common_prefix import stripped, tell_of_prefix
from paramtool.cli.difference_notes import (
    tell_of_initial_values,
    tell_of_spectra,
    tell_of_what_is_left_out,
    tell_of_what_is_uncompared,
)
from paramtool.cli.model_argument import open_argument, selected_by
from paramtool.cli.page_file import ReportFile, deliver
from paramtool.errors import ParamtoolError
from paramtool.language.text import STDIN
from paramtool.models.model import Model
from paramtool.records.difference import SPECTRUM_COLUMNS, VALUE_COLUMNS
from paramtool.render.formats import FOLDED, FOR_CI, Format, folded

if TYPE_CHECKING:
    from paramtool.operations.listing.selection import Selection
    from paramtool.records.difference import Differences


def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            show_default=False,
            help="The old model: a spec, a checkpoint, a snapshot, package.module:object, or - for stdin.",
        ),
    ],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="B",
            show_default=False,
            help="The new model, in any of these forms.  Default: $PARAMTOOL_MODEL, else model.yaml here.",
        ),
    ] = None,
    pattern: options.Pattern = None,
    name: options.Name = None,
    module: options.Module = None,
    exclude: options.Exclude = None,
    values: Annotated[
        bool,
        typer.Option(
            "--values",
            help="Compare values too; for a spec, those that init would set.",
            rich_help_panel=panels.COMPARE,
        ),
    ] = False,
    atol: Annotated[
        float | None,
        typer.Option(
            "--atol",
            min=0,
            metavar="X",
            help="Absolute tolerance for --values.  Default: 0.",
            rich_help_panel=panels.COMPARE,
        ),
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option(
            "--rtol",
            min=0,
            metavar="X",
            help="Relative tolerance for --values.  Default: 0.",
            rich_help_panel=panels.COMPARE,
        ),
    ] = None,
    spectrum: Annotated[
        bool,
        typer.Option(
            "--spectrum",
            help="With --values: add the rank of each changed matrix, and what its top directions hold.",
            rich_help_panel=panels.rare(panels.COMPARE),
        ),
    ] = False,
    weights: Annotated[
        str | None,
        options.weights(
            "With --values: load a checkpoint into B, or into A if B is not a spec or object.",
            panels.rare(panels.COMPARE),
        ),
    ] = None,
    depth: Annotated[
        int | None,
        options.depth("Fold names deeper than N parts into one line per module.", panels.rare(panels.OUTPUT)),
    ] = None,
    columns: Columns = None,
    all: options.All = False,
    strip_prefix: Annotated[
        list[str] | None,
        typer.Option(
            "--strip-prefix",
            metavar="PREFIX",
            help="Take PREFIX off the names in A and B, e.g. module.",
            rich_help_panel=panels.rare(panels.COMPARE),
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "--set-b",
            metavar="KEY=VALUE",
            help="Override a value in B, a spec, by its dotted path.",
            rich_help_panel=panels.rare(panels.MODEL),
        ),
    ] = None,
    set_a: Annotated[
        list[str] | None,
        typer.Option(
            "--set-a",
            metavar="KEY=VALUE",
            help="Override a value in A, a spec.",
            rich_help_panel=panels.rare(panels.MODEL),
        ),
    ] = None,
    arg: Annotated[
        list[str] | None,
        typer.Option(
            "--arg",
            "--arg-b",
            metavar="KEY=VALUE",
            help="An argument for B, a class or function, as YAML.",
            rich_help_panel=panels.rare(panels.MODEL),
        ),
    ] = None,
    arg_a: Annotated[
        list[str] | None,
        typer.Option(
            "--arg-a",
            metavar="KEY=VALUE",
            help="An argument for A, a class or function.",
            rich_help_panel=panels.rare(panels.MODEL),
        ),
    ] = None,
    input: options.Input = None,
    report_file: ReportFile = None,
    quiet: options.Quiet = False,  # noqa: ARG001 - its callback acts
    format: Annotated[Format, options.format_of("diff")] = Format.table,
    json: options.Json = False,
) -> None:
    """Show how B differs from A, and whether A loads into B.

    One line per difference: what was added, removed, renamed, reshaped, retyped, frozen, tied or untied.
    Exit status 0 if they are the same, 1 if they differ or A does not load.
    """
    from paramtool.api.diff import diff as compare
    from paramtool.operations.comparison.places import placed

    format = Format.json if json else format
    _check(a, b, values, atol, rtol, weights, spectrum)
    _check_columns(columns, values, spectrum)
    selection = selected_by(pattern, exclude, None, name, module)
    was = open_argument(a, set_a, arguments=arg_a, inputs=input, are_optional=True, side="-a", called="A")
    now = open_argument(b, set, arguments=arg, inputs=input, are_optional=True, called="B")
    was, now = stripped(was, now, strip_prefix)
    model_a, model_b = _weighted(was, now, weights)
    names = _names(model_a, model_b, values)
    tell_of_what_is_left_out(model_a, model_b)
    report = compare(model_a, model_b, values=values, atol=atol or 0.0, rtol=rtol or 0.0, spectrum=spectrum)
    if selection:
        report = _selected(report, selection, names)
    tell_of_prefix(model_a, model_b)
    places = model_b.places() if format in FOR_CI else None
    if places is not None:
        report = placed(report, places, whole=not all)
    report = with_columns(_at_depth(report, depth), columns)
    is_folded = format in (*FOLDED, *FOR_CI) and not all
    deliver(report, format, report_file, folded(report) if is_folded else report)
    fails = not report.totals.loads and not report.totals.selected
    tell_of_what_is_uncompared(report.totals.uncompared, is_answer=bool(report.rows or fails))
    tell_of_spectra(report.totals.without_spectrum)
    if report.rows or fails:
        raise typer.Exit(1)


def _names(a: Model, b: Model, values: bool) -> list[str]:
    """Return the names in both, which are built with their values if those count: neither is built twice."""
    if values:
        for each in (a, b):
            each.prepare()
    names = [row.name for each in (a, b) for row in each.listing().rows]
    if values:
        tell_of_initial_values(a, b)  # now they have connected their processes, and one of these tells
    return names


def _selected(report: Differences, selection: Selection, names: Sequence[str]) -> Differences:
    from paramtool.operations.comparison.difference_selection import choose_differences

    for note in selection.notes(dict.fromkeys(names)):
        console.note(note)
    return choose_differences(report, names, selection)


def _at_depth(report: Differences, depth: int | None) -> Differences:
    if depth is None:
        return report
    from paramtool.operations.comparison.module_differences import fold_depth

    return fold_depth(report, depth)


def _weighted(a: Model, b: Model, weights: str | None) -> tuple[Model, Model]:
    """Return both models, with the weights in the one that they are for.

    Raises:
        ParamtoolError: for weights if neither model is built.
    """
    if weights is None:
        return a, b
    if b.is_buildable:
        return a, b.with_weights(weights)
    if a.is_buildable:
        return a.with_weights(weights), b
    message = f"--weights loads into a spec or package.module:object; neither {a.name} nor {b.name} is one"
    raise ParamtoolError(message)


def _check(
    a: str,
    b: str | None,
    values: bool,
    atol: float | None,
    rtol: float | None,
    weights: str | None,
    spectrum: bool,
) -> None:
    """Refuse what contradicts itself before anything is opened."""
    if a == b == STDIN:
        raise ParamtoolError("A and B are both -, but stdin can be read only once")
    if not values and (atol, rtol) != (None, None):
        option = "--rtol" if atol is None else "--atol"
        raise ParamtoolError(f"{option} requires --values")
    if not values and (weights is not None or spectrum):
        raise ParamtoolError(f"{'--spectrum' if spectrum else '--weights'} requires --values")


def _check_columns(columns: str | None, values: bool, spectrum: bool) -> None:
    for each in split_columns(columns):
        if each in SPECTRUM_COLUMNS and not spectrum:
            needed = "add --spectrum" if values else "add --values --spectrum"
            raise ParamtoolError(f"the column '{each}' is not computed", hint=needed)
        if each in VALUE_COLUMNS and not values:
            raise ParamtoolError(
                f"the column '{each}' is about values, which are not compared", hint="add --values"
            )
