"""JUnit XML, which CI servers read: a test case for each expectation or kind of difference, without times.

A model that could not be checked is a case with an error, which is not a failure.  `diff` has the same cases
in every run, so that a server can follow each: one for every kind of change, and one for the load.  Paths are
those in the repository.  Control characters cannot stand in XML 1.0, not even as references, so texts are
shown as elsewhere; what is not ASCII is written as references, so that the bytes do not depend on the locale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple
from xml.sax.saxutils import escape

from paramtool.errors import ParamtoolError, Problems
from paramtool.place import Place
from paramtool.quantities import and_more
from paramtool.records.difference import CHANGES, Differences, DifferenceTotals
from paramtool.records.expectation import ExpectationRow, Expectations
from paramtool.render.difference_text import sentence, verdict
from paramtool.render.names import shown
from paramtool.render.repository import repository_path


class _Case(NamedTuple):
    """A test case; `outcome` is ``failure``, ``error``, or empty if it passed."""

    classname: str
    name: str
    outcome: str = ""
    kind: str = ""
    message: str = ""
    lines: Sequence[str] = ()
    file: str | None = None
    line: int | None = None


def junit(report: Expectations | Differences) -> Iterator[str]:
    """Yield one suite with a case for each expectation and model with errors, or each kind of difference."""
    is_diff = isinstance(report.totals, DifferenceTotals)
    cases = list(_of_differences(report) if is_diff else _of_expectations(report))  # type: ignore[arg-type]
    yield from _suite(report.command, cases)


def error_suite(error: ParamtoolError, command: str, model: str) -> Iterator[str]:
    """Yield the suite of a `command` that an error ended: no server reads an empty file.

    Args:
        error: one, or several in one.
        command: its name.
        model: what was typed for MODEL, or for A and B.
    """
    errors = error.errors if isinstance(error, Problems) else (error,)
    said = [f"{each.message}{f'; {each.hint}' if each.hint else ''}" for each in errors]
    lines = [f"{each.place}: {text}" if each.place else text for each, text in zip(errors, said, strict=True)]
    message = f"{said[0]}{and_more(len(errors) - 1, '; ')}"
    case = _Case(model, "error", "error", "error", message, lines)
    yield from _suite(command, [_at(case, errors[0].place)])


def _suite(command: str, cases: Sequence[_Case]) -> Iterator[str]:
    outcomes = [each.outcome for each in cases]
    counts = (
        f'tests="{len(cases)}" failures="{outcomes.count("failure")}" errors="{outcomes.count("error")}"'
        ' skipped="0"'
    )
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites {counts}>\n  <testsuite name="paramtool {command}" {counts}>\n'
    for case in cases:
        yield from _written(case)
    yield "  </testsuite>\n</testsuites>\n"


def _of_expectations(report: Expectations) -> Iterator[_Case]:
    for _, numbered in groupby(enumerate(report.rows), _case_of):
        rows = [row for _, row in numbered]
        first = rows[0]
        yield (_error(rows) if first.error is not None else _expectation(first))._replace(
            file=first.file, line=first.line
        )


def _case_of(numbered: tuple[int, ExpectationRow]) -> object:
    """Return what is the same for the rows of one case: servers drop the second case of one name."""
    number, row = numbered
    return number if row.error is None else (row.model,)


def _expectation(row: ExpectationRow) -> _Case:
    case = _Case(row.model or "", f"{row.name} {row.expected}")
    if row.holds:
        return case
    message = f"{row.name}: expected {row.expected}, found: {row.found}"
    lines = row.names or (row.found or "",)
    return case._replace(outcome="failure", kind=row.name or "", message=message, lines=lines)


def _error(rows: Sequence[ExpectationRow]) -> _Case:
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    lines = [f"{row.place}: {row.error}" if row.place else row.error or "" for row in rows]
    return _Case(rows[0].model or "", "error", "error", "error", (rows[0].error or "") + more, lines)


def _of_differences(report: Differences) -> Iterator[_Case]:
    """Yield a case for each kind of change that was looked for, and one for the load of all of A into B."""
    totals = report.totals
    model = f"{totals.a} {totals.b}"
    for change in CHANGES:
        rows = [row for row in report.rows if row.change == change]
        case = _Case(model, change)
        if rows:
            lines = [sentence(row) for row in rows]
            case = _at(case, next((row.place for row in rows if row.place is not None), None))
            message = f"{lines[0]}{and_more(len(lines) - 1, '; ')}"
            yield case._replace(outcome="failure", kind=change, message=message, lines=lines)
        elif change == "values" and totals.uncompared:
            message = f"the values of {totals.uncompared[0]}{and_more(len(totals.uncompared) - 1)}"
            message += " were not compared"
            yield case._replace(outcome="error", kind=change, message=message, lines=totals.uncompared)
        elif change != "values" or totals.values:
            yield case
    if totals.selected:  # the load is of everything
        return
    if totals.loads:
        yield _Case(model, "load")
    else:
        yield _Case(model, "load", "failure", "load", verdict(totals), totals.reasons)


def _at(case: _Case, place: Place | None) -> _Case:
    if place is None or place.text.is_option:
        return case
    return case._replace(file=place.text.name, line=place.line)


def _written(case: _Case) -> Iterator[str]:
    attributes = {
        "classname": case.classname,
        "name": case.name,
        "file": None if case.file is None else repository_path(case.file),
        "line": case.line,
    }
    given = "".join(f' {key}="{_text(value)}"' for key, value in attributes.items() if value is not None)
    if not case.outcome:
        yield f"    <testcase{given}/>\n"
        return
    body = "\n".join(map(_text, case.lines))
    yield f"    <testcase{given}>\n"
    yield (
        f'      <{case.outcome} type="{_text(case.kind)}" message="{_text(case.message)}">{body}'
        f"</{case.outcome}>\n"
    )
    yield "    </testcase>\n"


def _text(value: str | int) -> str:
    plain = escape(shown(str(value)), {'"': "&quot;"})
    return plain.encode("ascii", "xmlcharrefreplace").decode("ascii")
