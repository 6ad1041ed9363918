"""What a model is held to, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.place import Place
from paramtool.quantities import Quantity
from paramtool.records.column import COUNT, NAME, column
from paramtool.records.report import Report, Sums

Expected: TypeAlias = "Quantity | str | tuple[str, ...]"

PEOPLE_COLUMNS = ("name", "holds", "expected", "found", "place", "error")
MACHINE_COLUMNS = (
    "model", "name", "holds", "expected", "found", "names", "file", "line", "column", "value", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Expectation:
    """One expectation, wherever it was written.

    Attributes:
        name: ``parameters``, ``shared``, …
        value: the expected value: counts, a word, or the names of one group.
        place: where it is written.
    """

    name: str
    value: Expected
    place: Place

    def __str__(self) -> str:
        return ", ".join(self.value) if isinstance(self.value, tuple) else str(self.value)


@dataclass(frozen=True, kw_only=True)
class ExpectationRow:
    """One expectation, kept or broken; or an error for which a model could not be checked.

    Attributes:
        model: what the model was called.
        name: of the expectation; it, `holds`, `expected` and `found` are None for an error.
        holds: whether it is kept.
        expected: as it was written.
        found: the actual value, or what satisfies it.
        names: every name that breaks it; `found` says the first few.
        value: `found` as a number: elements, bytes, names or tensors that are as they should, groups of
            names that are separate, or differences; None if it is not a number.
        error: why the model could not be checked.
        file, line, column: where a spec has it; None if it was typed as an option.
    """

    model: str | None
    name: str | None = field(default=None, metadata=NAME)
    holds: bool | None = field(default=None, metadata=column(tone="bad", tones={"True": "good"}))
    expected: str | None = field(default=None, metadata=column(wraps=True))
    found: str | None = field(default=None, metadata=column(wraps=True))
    names: tuple[str, ...] = ()
    value: int | None = None
    error: str | None = field(default=None, metadata=column(shown="filled", wraps=True, tone="bad"))
    file: str | None = None
    line: int | None = None
    column: int | None = None
    count: int = field(default=1, metadata=COUNT)

    @property
    def place(self) -> str | None:
        """Write the place as editors and terminals know it."""
        return f"{self.file}:{self.line}:{self.column}" if self.file else None


@dataclass(frozen=True, kw_only=True)
class ExpectationTotals(Sums):
    """How many expectations are kept.

    Attributes:
        expectations: all of them.
        kept, broken: those that hold, and those that do not.
        failed: models that could not be checked.
    """

    row = ExpectationRow
    people = PEOPLE_COLUMNS

    expectations: int
    kept: int
    broken: int
    failed: int = 0


Expectations: TypeAlias = Report[ExpectationRow, ExpectationTotals]
