"""What an initialization did, or would do, to each tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from paramtool.records.parameter import Printed
from paramtool.records.report import Report

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
        expected_mean, expected_std: of the law; None where it depends on what was there.
        sha256: of the bytes of the result, little-endian and contiguous.
        values: the elements of a small tensor.
        count: the tensors that this row stands for; 1 but for folded rows, whose moments are those of all
            elements together.
    """

    name: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    numel: int
    rule: str
    skipped: str | None = None
    note: str | None = None
    mean_before: float | None = None
    std_before: float | None = None
    min_before: float | None = None
    max_before: float | None = None
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    expected_mean: float | None = None
    expected_std: float | None = None
    sha256: str | None = None
    values: Printed | None = None
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class InitializationTotals:
    """The whole of an initialization, and how to repeat it.

    Attributes:
        tensors, parameters: touched tensors and their elements.
        untouched: tensors that no rule matched; they keep what the constructor drew.
        seed, rng, torch: what the values depend on.
        rules: every rule as it was written.
        files: what was written, the index last.
        nbytes: the bytes of all tensors in these; None where nothing was written.
    """

    tensors: int
    parameters: int
    untouched: int
    seed: int
    rng: str
    torch: str
    rules: tuple[str, ...]
    files: tuple[str, ...] = ()
    nbytes: int | None = None


Initialization: TypeAlias = Report[InitializationRow, InitializationTotals]
