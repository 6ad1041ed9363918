"""What there is to say about one initializer, as a text for people."""

from __future__ import annotations

from collections.abc import Iterator

from paramtool.records.initializer import Initializers
from paramtool.render.names import shown


def explanation(report: Initializers) -> Iterator[str]:
    """Yield the signature, the docstring, and how to write a rule, for each row."""
    for number, row in enumerate(report.rows):
        yield "\n" if number else ""
        yield f"{shown(row.signature)}\n"
        yield f"  from {shown(row.origin)}\n\n"
        for line in (row.doc or "It has no docstring.").splitlines():
            yield f"  {shown(line)}".rstrip() + "\n"
        yield "\n  On the command line:\n"
        if row.option is not None:
            yield f"    --pattern weight {row.option}\n"
        yield f"    {shown(row.typed)}\n"
        yield "  In a spec's init, or a recipe:\n"
        yield f"    - {shown(row.spec)}\n"
