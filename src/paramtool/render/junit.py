"""JUnit XML, which CI servers read: a test case an expectation, without times.

Control characters cannot stand in XML 1.0, not even as references, so texts are shown as elsewhere;
what is not ASCII is written as references, so that the bytes do not depend on the locale.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from paramtool.records.expectation import ExpectationRow, Expectations
from paramtool.render.names import shown


def junit(report: Expectations) -> Iterator[str]:
    """Yield one suite with a case for each row."""
    broken = sum(not row.holds for row in report.rows)
    counts = f'tests="{len(report.rows)}" failures="{broken}" errors="0" skipped="0"'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<testsuites {counts}>\n  <testsuite name="paramtool {report.command}" {counts}>\n'
    for row in report.rows:
        yield from _case(row)
    yield "  </testsuite>\n</testsuites>\n"


def _case(row: ExpectationRow) -> Iterator[str]:
    attributes = {
        "classname": row.model or "",
        "name": f"{row.name} {row.expected}",
        "file": row.file,
        "line": row.line,
    }
    given = "".join(f' {key}="{_text(value)}"' for key, value in attributes.items() if value is not None)
    if row.holds:
        yield f"    <testcase{given}/>\n"
        return
    yield f"    <testcase{given}>\n"
    message = f"{row.name}: expected {row.expected}, found: {row.found}"
    yield f'      <failure type="{_text(row.name)}" message="{_text(message)}">'
    yield "\n".join(map(_text, row.names or (row.found,)))
    yield "</failure>\n    </testcase>\n"


def _text(value: str | int) -> str:
    plain = escape(shown(str(value)), {'"': "&quot;"})
    return plain.encode("ascii", "xmlcharrefreplace").decode("ascii")
