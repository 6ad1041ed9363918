"""Every format by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import Any

from paramtool.errors import BadArgument, ParamtoolError, shorten
from paramtool.records.report import Report
from paramtool.render.screen import A_FILE, Screen


class Format(str, Enum):
    """What a report is written as."""

    table = "table"
    tree = "tree"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    tsv = "tsv"
    markdown = "markdown"
    github = "github"
    junit = "junit"
    html = "html"


FOR_PEOPLE = (Format.table, Format.tree, Format.markdown, Format.html)
FOLDED = (Format.table, Format.tree, Format.markdown)
"""Formats that show identical numbered blocks as one; a page folds by itself when it has no room."""

FOR_CI = (Format.github, Format.junit)
"""What says whether something holds, and not what there is."""

COLUMNLESS = (Format.tree, *FOR_CI)
"""What has lines of its own."""

_OF_SOME = {
    Format.tree: (
        "inspect", "cost", "contents", "checkpoints", "definitions", "models", "init", "shared", "grad",
        "diff",
    ),
    Format.github: ("diff", "check"),
    Format.junit: ("diff", "check"),
}  # fmt: skip
"""The formats that only some commands have, and these commands."""


def formats_of(command: str | None) -> list[Format]:
    """Return the formats that `command` has, in the order of `Format`."""
    return [each for each in Format if command in _OF_SOME.get(each, (command,))]


def lacks(command: str | None, format: Format) -> ParamtoolError:
    """Return the error for a format that `command` does not have, and those that it has."""
    known = formats_of(command)
    hint = f"use one of {', '.join(each.value for each in known)}"
    error = ParamtoolError(f"{command} has no format {format.value}", hint=hint)
    return error.mended(format.value, Format.table.value) if format is Format.tree else error


def render(
    report: Report[Any, Any], format: Format | str = Format.table, screen: Screen = A_FILE
) -> Iterator[str]:
    """Yield `report` as text, piece by piece.

    Args:
        report: what an operation returned.
        format: one of `Format`.
        screen: what the text will be shown on; by default a file that takes everything.

    Raises:
        BadArgument: if `format` is none of them, or `report` is not one.
        ParamtoolError: if a report of this command has no such format.
    """
    if not isinstance(report, Report):
        raise BadArgument(f"expected a report, got {type(report).__name__}")
    format = Format(format)
    if format not in formats_of(report.command):
        raise lacks(report.command, format)
    if format in FOR_PEOPLE:
        report = report.for_people()
    if format is Format.table:
        from paramtool.render.table import table

        yield from table(report, screen)
    elif format is Format.tree:
        from paramtool.render.tree import tree

        yield from tree(report, screen)
    elif format is Format.markdown:
        from paramtool.render.markdown import markdown

        yield from markdown(report)
    elif format is Format.github:
        from paramtool.render.github import github

        yield from github(report)
    elif format is Format.junit:
        from paramtool.render.junit import junit

        yield from junit(report)
    elif format is Format.html:
        from paramtool.render.html.page import page

        yield from page(report)
    else:
        yield from _for_machines(report, format)


def as_text(report: Report[Any, Any], format: Format | str = Format.table) -> str:
    """Return `report` as one string, in any of the formats.

    Raises:
        BadArgument: for a format that there is not.
        ParamtoolError: for one that a report of this command does not have.
    """
    known = [each.value for each in Format]
    if format not in known:
        hint = f"use one of {', '.join(known)}"
        raise BadArgument(f"there is no format '{shorten(str(format))}'", hint=hint)
    return "".join(render(report, format))


def _for_machines(report: Report[Any, Any], format: Format) -> Iterator[str]:
    from paramtool.render.machine import delimited, json_document, json_lines

    if format is Format.json:
        yield from json_document(report)
    elif format is Format.jsonl:
        yield from json_lines(report)
    else:
        yield from delimited(report, "," if format is Format.csv else "\t")


def folded(report: Report[Any, Any]) -> Report[Any, Any]:
    """Return `report` with identical numbered blocks as one row each.

    A report with statistics or values comes back as it is: no two blocks agree in these.
    """
    from paramtool.records.column import column_of

    totals = report.totals
    if not totals.fold or any(column_of(totals.row, each).pooled == "never" for each in report.columns):
        return report
    if totals.fold == "row":
        from paramtool.render.difference_fold import fold_differences

        return replace(report, rows=tuple(fold_differences(report.rows)))
    if totals.fold == "alone":
        from paramtool.render.gradient_fold import fold_gradients

        rows = fold_gradients(report.rows)
        return report if rows is report.rows else replace(report, rows=tuple(rows))
    from paramtool.render.blocks import fold_blocks

    return replace(report, rows=tuple(fold_blocks(report.rows, are_modules=totals.fold == "module")))
