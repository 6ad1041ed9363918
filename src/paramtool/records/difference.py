"""One difference between two models, and the verdict on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.place import Place
from paramtool.records.report import Report

Aspect: TypeAlias = "str | tuple[int, ...] | None"

COLUMNS = ("change", "name", "was", "now", "tied_to", "because")
VALUE_COLUMNS = ("differing", "max_abs", "relative_rms", "cosine")

CHANGES = (
    "removed", "added", "renamed", "reshaped", "retyped", "frozen", "unfrozen", "tied", "untied",
    "persistence", "kind", "values",
)  # fmt: skip
"""What `change` can be."""


@dataclass(frozen=True, kw_only=True)
class ValueChange:
    """How far the elements of one tensor are from those of another of its shape.

    Attributes:
        differing: number of elements that are not close.
        max_abs: the largest absolute difference; NaN where one side alone is NaN.
        relative_rms: RMS of the difference over RMS of what was there; NaN or infinite as `max_abs` is if
            an element is not finite on one side alone.
        cosine: of the angle between the two; None where one is all zero, NaN if an element is not finite on
            one side alone.
    """

    differing: int
    max_abs: float
    relative_rms: float | None
    cosine: float | None


@dataclass(frozen=True, kw_only=True)
class DifferenceRow:
    """One thing in which B is not A.

    Attributes:
        change: one of `CHANGES`.
        name: as A has it; as B has it for what was added.
        was, now: what A and B have: a shape, a dtype, a kind, the name it is tied to, the new name; for
            what was removed or added all of it in a text; None where `change` says everything.
        tied_to: what a removed or added name is one tensor with.
        because: what speaks for a pairing of two names.
        differing, max_abs, relative_rms, cosine: see `ValueChange`; of folded rows the sum, the largest
            two, and the smallest.
        count: the number of differences this row stands for; 1 but for folded rows.
        new_name: as B has it, where B has it.
        module: the old and new path of the largest module that it is a difference of, with all that is
            in it; None where it is one of this name alone.
        breaks: whether a strict load of A into B fails over it.
        place: where B's spec writes down what it is about.
    """

    change: str
    name: str
    was: Aspect = None
    now: Aspect = None
    tied_to: str | None = None
    because: str | None = None
    differing: int | None = None
    max_abs: float | None = None
    relative_rms: float | None = None
    cosine: float | None = None
    count: int = 1
    new_name: str | None = field(default=None, repr=False)
    module: tuple[str, str] | None = field(default=None, repr=False)
    breaks: bool = field(default=False, repr=False)
    place: Place | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class DifferenceTotals:
    """What all differences come to.

    Attributes:
        a, b: what the two models are called.
        differences: number of differences.
        changes: number of differences of each class that there is.
        parameters_was, parameters_now: elements of the parameters of A and of B; None of a checkpoint,
            which does not tell buffers from parameters.
        values: whether the elements were compared.
        selected: whether only some names were compared; `loads` is of all of them.
        loads: whether ``b.load_state_dict(a.state_dict(), strict=True)`` works.
        reasons: why it does not, in torch's words.
        warnings: what it would do without a word.
    """

    a: str
    b: str
    differences: int
    changes: Mapping[str, int]
    parameters_was: int | None
    parameters_now: int | None
    values: bool
    selected: bool
    loads: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


Differences: TypeAlias = Report[DifferenceRow, DifferenceTotals]
