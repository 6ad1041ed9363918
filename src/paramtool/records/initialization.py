"""What an initialization did, or would do, to each tensor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, NAME, column
from paramtool.records.constructor import built_at_once
from paramtool.records.parameter import Printed
from paramtool.records.report import Report, Sums

PLAN_COLUMNS: tuple[str, ...] = (
    "name", "shape", "dtype", "rule", "skipped", "expected_mean", "expected_std", "note",
)  # fmt: skip
RESULT_COLUMNS: tuple[str, ...] = (
    "name", "shape", "rule", "mean_before", "std_before", "min_before", "max_before",
    "mean", "std", "min", "max", "expected_std", "note",
)  # fmt: skip
SAVED_COLUMNS: tuple[str, ...] = (
    "name", "shape", "dtype", "rule", "mean", "std", "min", "max", "expected_std", "note",
)  # fmt: skip

NORM = "a norm layer"
"""The note of a tensor that belongs to one."""

_DRAWN = column("internal", pooled="first")
"""Facts for a picture: they have no column, and those of several rows are not combined."""


@built_at_once
@dataclass(frozen=True, kw_only=True)
class InitializationRow:
    """One tensor that rules touch.

    Attributes:
        name: the first name; a tied tensor is filled once.
        names: all of its names; of a parametrized tensor those of what it is computed from as well.
        shape, dtype, numel: torch's words.
        rule: the initializers that run, in order, with their arguments.
        skipped: fills that a later fill overwrites, which do not run.
        note: what the initializer took from the shape (a fan), and what to beware of.
        mean_before, std_before, min_before, max_before: of what the constructor drew.
        mean, std, min, max: of the result; None in a plan.
        expected_mean, expected_std: of the law; None if it depends on what was there.
        histogram_before, histogram: counts in equal bins from min to max of each; None where nobody counted.
        sha256: of the bytes of the result, little-endian and contiguous.
        values: the elements of a small tensor.
        count: the tensors that this row stands for; 1 but for folded rows, whose moments are those of all
            elements together.
    """

    name: str = field(metadata=NAME)
    names: tuple[str, ...] = field(metadata=column(pooled="paths"))
    shape: tuple[int, ...] = field(metadata=column(drop=7, labelled=False))
    dtype: str = field(metadata=column(drop=4, alike=3, tone="quiet", labelled=False))
    numel: int = field(metadata=column("number", pooled="sum"))
    rule: str = field(metadata=column(wraps=True))
    skipped: str | None = field(default=None, metadata=column(shown="filled", drop=5, wraps=True))
    note: str | None = field(default=None, metadata=column(shown="filled", drop=4, wraps=True))
    mean_before: float | None = field(default=None, metadata=column("number", drop=1, pooled="mean"))
    std_before: float | None = field(
        default=None, metadata=column("number", drop=2, pooled="std", mean="mean_before")
    )
    min_before: float | None = field(default=None, metadata=column("number", "never", pooled="min"))
    max_before: float | None = field(default=None, metadata=column("number", "never", pooled="max"))
    mean: float | None = field(default=None, metadata=column("number", drop=6, pooled="mean"))
    std: float | None = field(default=None, metadata=column("number", pooled="std", mean="mean"))
    min: float | None = field(default=None, metadata=column("number", drop=8, pooled="min"))
    max: float | None = field(default=None, metadata=column("number", drop=8, pooled="max"))
    expected_mean: float | None = field(default=None, metadata=column("number", "filled", drop=3))
    expected_std: float | None = field(default=None, metadata=column("number", "filled", drop=9))
    histogram_before: tuple[int, ...] | None = field(default=None, repr=False, metadata=_DRAWN)
    histogram: tuple[int, ...] | None = field(default=None, repr=False, metadata=_DRAWN)
    sha256: str | None = field(default=None, metadata=column(pooled="first"))
    values: Printed | None = field(default=None, metadata=column("elements", "never", pooled="never"))
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True, kw_only=True)
class InitializationTotals(Sums):
    """The whole of an initialization, and how to repeat it.

    Attributes:
        tensors, parameters: touched tensors and their elements.
        untouched: tensors that no rule matched; they keep what the constructor drew.
        seed, rng, torch: what the values depend on.
        rules: every rule as it was written.
        files: what was written, the index last.
        nbytes: the bytes of all tensors in these; None if nothing was written.
        part: ``2/4`` for one of several processes; then the rows, `files` and `nbytes` are what it wrote,
            and everything else is of the whole.
        missing: the names of files that other parts had still to write; empty once the folder is complete.
    """

    row = InitializationRow
    fold = "block"

    tensors: int
    parameters: int
    untouched: int
    seed: int
    rng: str
    torch: str
    rules: tuple[str, ...]
    files: tuple[str, ...] = ()
    nbytes: int | None = None
    part: str | None = None
    missing: tuple[str, ...] = ()


Initialization: TypeAlias = Report[InitializationRow, InitializationTotals]
