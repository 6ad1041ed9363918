"""Where something was written: a named text, and a line and column in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

EXCERPT_WIDTH = 120
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # those of YAML 1.1, by which libyaml counts


@dataclass(frozen=True)
class Text:
    """A text and the name it goes by in messages: a path, ``<stdin>`` or an option."""

    name: str
    content: str
    is_option: bool = False

    @cached_property
    def lines(self) -> list[str]:
        return _LINE_BREAK.split(self.content)


@dataclass(frozen=True)
class Place:
    """A line and column, both counted from 1, of a text."""

    text: Text
    line: int
    column: int

    def __str__(self) -> str:
        if self.text.is_option:
            return self.text.name
        return f"{self.text.name}:{self.line}:{self.column}"

    def excerpt(self) -> tuple[str, int] | None:
        """Return the line and the caret's offset in it, or None if there is no line to show.

        Of a long line only a window of ``EXCERPT_WIDTH`` characters around the column is given.
        """
        if self.text.is_option or not 1 <= self.line <= len(self.text.lines):
            return None
        line = self.text.lines[self.line - 1]
        caret = min(self.column - 1, len(line))
        start = max(0, caret - EXCERPT_WIDTH // 2) if len(line) > EXCERPT_WIDTH else 0
        return line[start : start + EXCERPT_WIDTH], caret - start
