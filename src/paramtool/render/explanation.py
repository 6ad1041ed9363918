"""What there is to say about one initializer, as a text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from paramtool.records.initializer import Initializers
from paramtool.render.breaks import wrapped
from paramtool.render.names import shown
from paramtool.render.screen import A_FILE, Screen, width_of


def explanation(report: Initializers, screen: Screen = A_FILE) -> Iterator[str]:
    """Yield the signature, the docstring, and how to write a rule, for each row.

    Long lines of the docstring go on in the next one; what is there to be typed stays as it is.
    """
    for number, row in enumerate(report.rows):
        yield "\n" if number else ""
        yield f"{shown(row.signature)}\n"
        yield f"  from {shown(row.origin)}\n\n"
        lines = [f"  {shown(line)}".rstrip() for line in (row.doc or "It has no docstring.").splitlines()]
        yield from (f"{line}\n" for line in _fitted(lines, screen))
        yield "\n  On the command line:\n"
        if row.option is not None:
            yield f"    --pattern weight {row.option}\n"
        yield f"    {shown(row.typed)}\n"
        yield "  In a spec's init, or a recipe:\n"
        yield f"    - {shown(row.spec)}\n"


def _fitted(lines: Sequence[str], screen: Screen) -> Iterator[str]:
    """Yield the lines of a docstring, those of a paragraph that is too wide with other breaks."""
    for is_blank, paragraph in groupby(lines, lambda line: not line):
        given = list(paragraph)
        if is_blank or screen.width is None or max(map(width_of, given)) < screen.width:
            yield from given
            continue
        for indent, alike in groupby(given, lambda line: len(line) - len(line.lstrip(" "))):
            text = " ".join(line.strip() for line in alike)
            yield from (f"{' ' * indent}{each}" for each in wrapped(text, screen.width - 1 - indent))
