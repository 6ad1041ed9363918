"""``--columns``: which columns a report has, in every format that has any."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paramtool.cli import panels
from paramtool.errors import ParamtoolError
from paramtool.render.formats import COLUMNLESS, Format

if TYPE_CHECKING:
    from paramtool.records.report import Report, Row, Sums, Totals

TOTALS = {
    "inspect": ("parameter", "ParameterTotals"),
    "cost": ("cost", "CostTotals"),
    "shared": ("sharing", "SharingTotals"),
    "diff": ("difference", "DifferenceTotals"),
    "check": ("expectation", "ExpectationTotals"),
    "init": ("initialization", "InitializationTotals"),
    "convert": ("conversion", "ConversionTotals"),
    "grad": ("gradient", "GradientTotals"),
    "initializers": ("initializer", "InitializerTotals"),
}
"""What the reports of each command are of: the file of the records, and the class of the totals."""


def totals_of(command: str) -> type[Sums]:
    """Return the class of the totals of a command, which knows its rows."""
    file, name = TOTALS[command]
    found: type[Sums] = getattr(import_module(f"paramtool.records.{file}"), name)
    return found


def split_columns(given: str | None) -> tuple[str, ...]:
    """Return the names in ``--columns``; none if it was not typed."""
    return () if given is None else tuple(each.strip() for each in given.split(",") if each.strip())


def measured_by(columns: str | None, stats: bool, values: bool) -> tuple[bool, bool]:
    """Return whether statistics and values are wanted: by their options, or by one of their columns."""
    from paramtool.records.parameter import STATISTICS_COLUMNS

    chosen = split_columns(columns)
    return stats or any(each in STATISTICS_COLUMNS for each in chosen), values or "values" in chosen


def with_columns(report: Report[Row, Totals], given: str | None) -> Report[Row, Totals]:
    """Return the report with the columns of ``--columns``, if it was typed."""
    return report if given is None else report.with_columns(*split_columns(given))


def refuse_columnless(columns: str | None, format: Format | None) -> None:
    """Refuse ``--columns`` beside a format without columns.

    Raises:
        ParamtoolError: for these two.
    """
    if columns is not None and format in COLUMNLESS:
        raise ParamtoolError(f"--columns chooses columns, and --format {format.value} has none")


def _report_of(context: typer.Context) -> str:
    """Return the name of the report: ``inspect --cost`` has columns of its own."""
    return "cost" if context.params.get("cost") else context.info_name or ""


def _check(context: typer.Context, columns: str | None) -> str | None:
    if columns is not None and not context.resilient_parsing:
        from paramtool.records.report import check_columns

        refuse_columnless(columns, context.params.get("format"))
        check_columns(split_columns(columns), totals_of(_report_of(context)))
    return columns


def _offered(ctx: typer.Context, incomplete: str) -> list[str]:
    from paramtool.records.report import column_names

    before, comma, last = incomplete.rpartition(",")
    typed = before.split(",")
    known: Any = column_names(totals_of(_report_of(ctx)))
    return [f"{before}{comma}{name}" for name in known if name.startswith(last) and name not in typed]


Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME,…",
        callback=_check,
        autocompletion=_offered,
        help="Show these columns, in this order.",
        rich_help_panel=panels.OUTPUT,
    ),
]
