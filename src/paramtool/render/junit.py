"""JUnit XML, which CI servers read: a test case an expectation, without times.

A model that could not be checked is a case with an error, which is not a failure.  Paths are those in the
repository.  Control characters cannot stand in XML 1.0, not even as references, so texts are shown as
elsewhere; what is not ASCII is written as references, so that the bytes do not depend on the locale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from paramtool.records.expectation import ExpectationRow, Expectations
from paramtool.render.names import shown
from paramtool.render.repository import repository_path


def junit(report: Expectations) -> Iterator[str]:
    """Yield one suite with a case for each expectation, and one for each model that has errors."""
    cases = [list(rows) for _, rows in groupby(enumerate(report.rows), _case_of)]
    failures = sum(row.error is None and not row.holds for row in report.rows)
    errors = sum(rows[0][1].error is not None for rows in cases)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0"'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites {counts}>\n  <testsuite name="paramtool {report.command}" {counts}>\n'
    for rows in cases:
        yield from _case([row for _, row in rows])
    yield "  </testsuite>\n</testsuites>\n"


def _case_of(numbered: tuple[int, ExpectationRow]) -> object:
    """Return what is the same for the rows of one case: servers drop the second case of one name."""
    number, row = numbered
    return number if row.error is None else (row.model,)


def _case(rows: Sequence[ExpectationRow]) -> Iterator[str]:
    first = rows[0]
    attributes = {
        "classname": first.model or "",
        "name": "error" if first.error is not None else f"{first.name} {first.expected}",
        "file": None if first.file is None else repository_path(first.file),
        "line": first.line,
    }
    given = "".join(f' {key}="{_text(value)}"' for key, value in attributes.items() if value is not None)
    if first.holds:
        yield f"    <testcase{given}/>\n"
        return
    yield f"    <testcase{given}>\n"
    yield _error(rows) if first.error is not None else _failure(first)
    yield "    </testcase>\n"


def _failure(row: ExpectationRow) -> str:
    message = f"{row.name}: expected {row.expected}, found: {row.found}"
    body = "\n".join(map(_text, row.names or (row.found or "",)))
    return f'      <failure type="{_text(row.name or "")}" message="{_text(message)}">{body}</failure>\n'


def _error(rows: Sequence[ExpectationRow]) -> str:
    more = f" (and {len(rows) - 1:,} more)" if len(rows) > 1 else ""
    body = "\n".join(_text(f"{row.place}: {row.error}" if row.place else row.error or "") for row in rows)
    return f'      <error type="error" message="{_text((rows[0].error or "") + more)}">{body}</error>\n'


def _text(value: str | int) -> str:
    plain = escape(shown(str(value)), {'"': "&quot;"})
    return plain.encode("ascii", "xmlcharrefreplace").decode("ascii")
