"""One initializer: what it takes, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, NAME, column
from paramtool.records.report import Report, Sums

LIST_COLUMNS = ("name", "arguments", "origin")
ALL_COLUMNS = (*LIST_COLUMNS, "signature", "doc", "option", "typed", "spec")


@dataclass(frozen=True, kw_only=True)
class InitializerRow:
    """One initializer that a rule may name.

    Attributes:
        name: as rules write it.
        arguments: with their defaults, as ``low=5.0, high=10.0``; ``…`` if no source says so.
        origin: ``torch.nn.init``, ``paramtool``, a distribution with its version, or a file.
        signature: with the types, as ``gain: float = 1.0``.
        doc: its docstring: what it does, its formula, and the formula's source.
        option: its own option on the command line, ``--normal STD``; None for a plugin.
        typed: a rule as typed, ``--pattern weight --with xavier_uniform:gain=1.0``.
        spec: the same rule in a spec or recipe.
    """

    name: str = field(metadata=NAME)
    arguments: str = field(metadata=column(wraps=True))
    origin: str = field(metadata=column(drop=10, tone="quiet"))
    signature: str
    doc: str | None
    option: str | None
    typed: str
    spec: str
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True, kw_only=True)
class InitializerTotals(Sums):
    """How many initializers there are.

    Attributes:
        initializers: all of them.
        plugins: those that this tool does not bring.
    """

    row = InitializerRow

    initializers: int
    plugins: int


Initializers: TypeAlias = Report[InitializerRow, InitializerTotals]
