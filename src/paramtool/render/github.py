"""Annotations that GitHub Actions shows beside the lines of a file, from the log of a job.

Source: "Workflow commands for GitHub Actions", setting an error message; the escapes are those of
actions/toolkit, packages/core/src/command.ts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache, singledispatch
from pathlib import Path
from typing import Any, TypeAlias

from paramtool.errors import ParamtoolError, Problems
from paramtool.place import Place
from paramtool.quantities import counted
from paramtool.records.difference import DifferenceRow, DifferenceTotals
from paramtool.records.expectation import ExpectationRow
from paramtool.records.report import Report
from paramtool.render.difference_text import sentence, verdict
from paramtool.render.names import shown
from paramtool.render.repository import repository_path
from paramtool.render.summary import summary

MOST_ERRORS = 50
"""Errors that end a command and have an annotation each."""

Locate: TypeAlias = Callable[[str], str]
"""Returns where a file is in its repository."""


def is_read_by_runner() -> bool:
    """Return whether a runner reads stdout; its log shows annotations as lines without places."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def github(report: Report[Any, Any]) -> Iterator[str]:
    """Yield an annotation for each row that has something against it, and the totals."""
    locate = cache(repository_path)  # of many rows, few files
    for row in report.rows:
        yield from _annotations(row, locate)
    lines = summary(report)
    if isinstance(report.totals, DifferenceTotals):
        yield from _judged(report.totals)
        if is_read_by_runner():  # which has shown these as annotations
            lines = [line for line in lines if not _is_judged(line, report.totals)]
    yield from (f"{line}\n" for line in lines)


def error_annotations(error: ParamtoolError, command: str) -> Iterator[str]:
    """Yield an annotation for each error that ended `command`, and how many more there are."""
    errors = error.errors if isinstance(error, Problems) else [error]
    title = f"paramtool {command}"
    for each in errors[:MOST_ERRORS]:
        option = f"{each.place}: " if each.place is not None and each.place.text.is_option else ""
        message = f"{option}{each.message}{f'; {each.hint}' if each.hint else ''}"
        yield annotation("error", message, *_where(each.place, repository_path), title)
    if len(errors) > MOST_ERRORS:
        yield annotation("error", f"… and {counted(len(errors) - MOST_ERRORS, 'more error')}", title=title)


def annotation(  # noqa: PLR0913, PLR0917 - as many as the runner knows
    level: str,
    message: str,
    file: str | None = None,
    line: int | None = None,
    column: int | None = None,
    title: str | None = None,
) -> str:
    """Return one line that the runner obeys.

    Args:
        level: ``error``, ``warning`` or ``notice``.
        message: one line, or several; the runner's log gets the place before it.
        file: relative to the repository.
        line, column: counted from 1.
        title: stands above the message.
    """
    given = {"file": file, "line": line, "col": column, "title": title}
    properties = ",".join(f"{key}={_property(str(each))}" for key, each in given.items() if each is not None)
    if line is not None and is_read_by_runner():
        message = f"{file}:{line}{'' if column is None else f':{column}'}: {message}"
    return f"::{level}{f' {properties}' if properties else ''}::{_data(message)}\n"


@singledispatch
def _annotations(row: Any, locate: Locate) -> Iterator[str]:
    raise TypeError(f"no annotation for {type(row).__name__}, {locate=}")


@_annotations.register
def _(row: DifferenceRow, locate: Locate) -> Iterator[str]:
    level = "error" if row.breaks else "warning"
    yield annotation(level, sentence(row), *_where(row.place, locate), f"paramtool diff: {row.change}")


def _judged(totals: DifferenceTotals) -> Iterator[str]:
    """Yield what to say about a load, at no place in a file."""
    if not totals.loads:
        yield annotation("error", verdict(totals), title="paramtool diff: does not load")
    for warning in totals.warnings:
        yield annotation(
            "warning", f"a strict load silently {warning}", title="paramtool diff: loads silently"
        )


def _is_judged(line: str, totals: DifferenceTotals) -> bool:
    """Return whether `_judged` says what a line of the summary does."""
    return (not totals.loads and line.endswith(verdict(totals))) or line.startswith("it silently ")


def _where(place: Place | None, locate: Locate) -> tuple[str | None, int | None, int | None]:
    if place is None or place.text.is_option:
        return None, None, None
    return locate(place.text.name), place.line, place.column


@_annotations.register
def _(row: ExpectationRow, locate: Locate) -> Iterator[str]:
    if not row.holds:
        message = row.error or f"{row.name}: expected {row.expected}, found: {row.found}"
        if row.file is None and row.model and not (row.error and row.model in row.error):
            message = f"{row.model}: {message}"
        file = row.file
        if file is None and row.model and _is_file(row.model):
            file = row.model
        file = shown(locate(file)) if file is not None else None
        yield annotation("error", shown(message), file, row.line, row.column, "paramtool check")


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # a name that no file has
        return False


def _data(text: str) -> str:
    lines = "\n".join(shown(line) for line in text.split("\n"))
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
