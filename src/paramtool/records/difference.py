"""One difference between two models, and the verdict on all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.place import Place
from paramtool.records.column import COUNT, INTERNAL, NAME, TIED_TO, Tone, column
from paramtool.records.constructor import built_at_once
from paramtool.records.report import Report, Sums

Aspect: TypeAlias = "str | tuple[int, ...] | None"

COLUMNS = ("change", "name", "was", "now", "tied_to", "because")
VALUE_COLUMNS = ("differing", "max_abs", "relative_rms", "cosine")
SPECTRUM_COLUMNS = ("rank", "effective_rank", "top_1", "top_8")

CHANGES = (
    "removed", "added", "renamed", "reshaped", "retyped", "frozen", "unfrozen", "tied", "untied",
    "persistence", "kind", "values",
)  # fmt: skip
"""What `change` can be."""

NAMED: Mapping[str, tuple[str, ...]] = {"renamed": ("now",), "tied": ("now",), "untied": ("was",)}
"""The fields beside `name` that hold a name, by change; `tied_to` always does."""

_TONES: Mapping[str, Tone] = {"added": "good", "removed": "gone", "values": "accent"}
_ASPECT = column(shown="filled", wraps=True)
_LARGEST = column("number", "filled", pooled="highest")


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """What the singular values s of the difference of two matrices say.

    Attributes:
        rank: how many stand out of rounding.  They are more than the largest, times the larger side, times
            2^-23; and more than the precision of the dtype of B, times the RMS of its elements, times the
            sum of the roots of the sides, which is about four times what rounding comes to.
        effective_rank: exp(-Σ p·log p) with p = s / Σs, after Roy and Vetterli, *The effective rank: a
            measure of effective dimensionality* (2007); from 1 to the smaller side.
        top_1, top_8: the share of the squared Frobenius norm, Σs², that the largest has, and the largest 8.
    """

    rank: int
    effective_rank: float
    top_1: float
    top_8: float


@dataclass(frozen=True, kw_only=True)
class ValueChange:
    """How far the elements of one tensor are from those of another of its shape.

    Attributes:
        differing: number of elements that are not close.
        max_abs: the largest absolute difference; NaN if one side alone is NaN.
        relative_rms: RMS of the difference over RMS of what was there; NaN or infinite as `max_abs` is if
            an element is not finite on one side alone.
        cosine: of the angle between the two; None if one is all zero, NaN if an element is not finite on
            one side alone.
        rank, effective_rank, top_1, top_8: see `Spectrum`; None if it was not asked for or is not known,
            and of a tensor of fewer than two dimensions.
    """

    differing: int
    max_abs: float
    relative_rms: float | None
    cosine: float | None
    rank: int | None = None
    effective_rank: float | None = None
    top_1: float | None = None
    top_8: float | None = None


@built_at_once
@dataclass(frozen=True, kw_only=True)
class DifferenceRow:
    """One thing in which B is not A.

    Attributes:
        change: one of `CHANGES`.
        name: as A has it; as B has it for what was added.
        was, now: what A and B have: a shape, a dtype, a kind, the name it is tied to, the new name; for
            everything that was removed or added, in a text; None if `change` says everything.
        tied_to: what a removed or added name is one tensor with.
        because: what speaks for a pairing of two names.
        differing, max_abs, relative_rms, cosine: see `ValueChange`; of folded rows the sum, the largest
            two, and the smallest.
        rank, effective_rank, top_1, top_8: see `Spectrum`; of folded rows the largest two, and the
            smallest two.
        count: the number of differences this row stands for; 1 but for folded rows.
        new_name: as B has it, where B has it.
        module: the old and new path of the largest module that it is a difference of, with all that is
            in it; None if it is one of this name alone.
        breaks: whether a strict load of A into B fails over it.
        place: where B's spec writes down what it is about.
    """

    change: str = field(metadata=column(labelled=False, tone="notable", tones=_TONES))
    name: str = field(metadata=NAME)
    was: Aspect = field(default=None, metadata=_ASPECT)
    now: Aspect = field(default=None, metadata=_ASPECT)
    tied_to: str | None = field(default=None, metadata=TIED_TO)
    because: str | None = field(default=None, metadata=column(shown="filled", drop=4, wraps=True))
    differing: int | None = field(default=None, metadata=column("number", "filled", pooled="sum"))
    max_abs: float | None = field(default=None, metadata=_LARGEST)
    relative_rms: float | None = field(
        default=None, metadata=column("number", "filled", drop=3, pooled="highest")
    )
    cosine: float | None = field(default=None, metadata=column("number", "filled", drop=2, pooled="lowest"))
    rank: int | None = field(default=None, metadata=column("number", "filled", drop=7, pooled="highest"))
    effective_rank: float | None = field(
        default=None, metadata=column("number", "filled", drop=8, pooled="highest")
    )
    top_1: float | None = field(default=None, metadata=column("number", "filled", drop=5, pooled="lowest"))
    top_8: float | None = field(default=None, metadata=column("number", "filled", drop=6, pooled="lowest"))
    count: int = field(default=1, metadata=COUNT)
    new_name: str | None = field(default=None, repr=False, metadata=INTERNAL)
    module: tuple[str, str] | None = field(default=None, repr=False, metadata=INTERNAL)
    breaks: bool = field(default=False, repr=False, metadata=column("internal", pooled="any"))
    place: Place | None = field(default=None, repr=False, metadata=INTERNAL)


@dataclass(frozen=True, kw_only=True)
class DifferenceTotals(Sums):
    """What all differences come to.

    Attributes:
        a, b: what the two models are called.
        differences: number of differences.
        changes: number of differences of each class that there is.
        parameters_was, parameters_now: elements of the parameters of A and of B; None of a checkpoint,
            which does not distinguish buffers from parameters.
        values: whether the elements were compared.
        selected: whether only some names were compared; `loads` is of all of them.
        loads: whether ``b.load_state_dict(a.state_dict(), strict=True)`` works.
        reasons: why it does not, in torch's words.
        warnings: what it would do without a word.
        uncompared: names of tensors whose elements could not be read, and so were not compared.
        without_spectrum: why the singular values of a difference are not known, by name in B; empty if
            nobody asked.
    """

    row = DifferenceRow
    fold = "row"
    tells_of_none = True

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
    uncompared: tuple[str, ...] = ()
    without_spectrum: Mapping[str, str] = field(default_factory=dict)


Differences: TypeAlias = Report[DifferenceRow, DifferenceTotals]
