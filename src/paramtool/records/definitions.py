"""The modules that a Python file defines, of which one must be named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, NAME, column
from paramtool.records.report import Report, Sums

COLUMNS = ("name", "kind", "line", "command")


@dataclass(frozen=True, kw_only=True)
class DefinitionRow:
    """A class, a function or an instance.

    Attributes:
        name: what it is called in the file.
        kind: ``class``, ``function`` or ``instance``.
        line: where it begins.
        command: the line to type, with the arguments that it requires.
        count: 1; nothing folds.
    """

    name: str = field(metadata=NAME)
    kind: str = field(metadata=column(tone="accent", labelled=False))
    line: int = field(metadata=column("number", tone="quiet"))
    command: str = field(default="", metadata=column(wraps=True, tone="link", labelled=False))
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True, kw_only=True)
class DefinitionTotals(Sums):
    """How many there are.

    Attributes:
        definitions: classes, functions and instances.
    """

    row = DefinitionRow

    definitions: int


Definitions: TypeAlias = Report[DefinitionRow, DefinitionTotals]
