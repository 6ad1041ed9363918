"""One named tensor of a model, and the totals over many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import (
    COUNT,
    DTYPE,
    INTERNAL,
    KIND,
    NAME,
    NBYTES,
    REQUIRES_GRAD,
    SHAPE,
    TIED_TO,
    TYPE,
    column,
)
from paramtool.records.constructor import built_at_once
from paramtool.records.report import Report, Sums

Number: TypeAlias = "bool | int | float"
Values: TypeAlias = "Number | tuple[Values, ...]"

COLUMNS = ("name", "type", "shape", "dtype", "numel", "nbytes", "requires_grad", "tied_to")
KIND_COLUMNS = ("kind", "persistent")
STATISTICS_COLUMNS = ("mean", "std", "min", "max", "norm", "zeros", "nan", "inf", "histogram")

PARAMETER_KINDS = ("parameter", "stored")
"""The kinds that are listed and counted as parameters: all that a checkpoint stores is."""

MOST_PRINTED = 100
"""Elements of a tensor that is small enough to be printed whole."""


def listing_columns(stats: bool, values: bool) -> tuple[str, ...]:
    """Return the columns of a listing, with those of statistics and values where these are asked for."""
    return (*COLUMNS, *(STATISTICS_COLUMNS if stats else ()), *(("values",) if values else ()))


MOST_INLINE = 4
"""Elements of a tensor that fits into a cell."""

_STATISTIC = column("number", pooled="never")
_EXTREME = column("number", drop=13, pooled="never")
_ALARM = column("number", drop=14, tone="bad", tones={"0": "", "": ""}, pooled="never")


@dataclass(frozen=True)
class Printed:
    """The elements of a tensor: `values` for machines (None if there are many), `text` as torch prints."""

    values: Values | None
    text: str


@built_at_once
@dataclass(frozen=True, kw_only=True)
class ParameterRow:
    """One name of one tensor.

    Attributes:
        name: dotted path from ``named_parameters(remove_duplicate=False)``.
        type: class of the module that owns it; None if no model says.
        shape: sizes; None for a lazy parameter that is not settled, and for a folded row.
        dtype: torch's name without ``torch.``; None in a folded row of several.
        numel: number of elements; None if the shape is unknown.
        nbytes: size in bytes; None if the shape is unknown, and of a sparse tensor.
        requires_grad: None in a folded row of both kinds, and where a checkpoint does not say.
        tied_to: the first name of the same tensor; None for that first name itself.
        kind: ``parameter``, ``buffer``, ``tensor`` (a plain attribute), or ``stored`` in a checkpoint, which
            does not distinguish parameters from buffers.
        persistent: whether a buffer is in the state_dict; None for what is not a buffer.
        count: the number of names this row stands for; 1 but for folded rows.
        mean, std, min, max, norm: over the finite elements; std with Bessel's correction.
        zeros, nan, inf: counts of elements.
        histogram: counts of finite elements in equal bins from `min` to `max`; of a tensor with more than
            2^17 elements, of a third of that many or more that are evenly spaced.
        values: the elements, where they were asked for.
        counted: whether the totals count it: not where an earlier row of its kind is the same tensor.
        bases: the class names that `type` derives from, itself included; for selection.
    """

    name: str = field(metadata=NAME)
    type: str | None = field(metadata=TYPE)
    shape: tuple[int, ...] | None = field(metadata=SHAPE)
    dtype: str | None = field(metadata=DTYPE)
    numel: int | None = field(metadata=column("number", unknown="?", drop=11, of_whole=True, pooled="sum"))
    nbytes: int | None = field(metadata=NBYTES)
    requires_grad: bool | None = field(metadata=REQUIRES_GRAD)
    tied_to: str | None = field(default=None, metadata=TIED_TO)
    kind: str = field(default="parameter", metadata=KIND)
    persistent: bool | None = field(default=None, metadata=column(shown="filled", drop=4))
    count: int = field(default=1, metadata=COUNT)
    mean: float | None = field(default=None, metadata=_STATISTIC)
    std: float | None = field(default=None, metadata=_STATISTIC)
    min: float | None = field(default=None, metadata=_EXTREME)
    max: float | None = field(default=None, metadata=_EXTREME)
    norm: float | None = field(default=None, metadata=column("number", drop=6, pooled="never"))
    zeros: int | None = field(default=None, metadata=column("number", drop=5, pooled="never"))
    nan: int | None = field(default=None, metadata=_ALARM)
    inf: int | None = field(default=None, metadata=_ALARM)
    histogram: tuple[int, ...] | None = field(
        default=None, metadata=column("histogram", drop=8, labelled=False, pooled="never")
    )
    values: Printed | None = field(default=None, metadata=column("elements", "never", pooled="never"))
    counted: bool = field(default=True, repr=False, metadata=INTERNAL)
    bases: tuple[str, ...] = field(default=(), repr=False, metadata=column("internal", pooled="first"))

    @property
    def tensor(self) -> str:
        """The first name of the tensor: equal for two rows exactly when they are one tensor."""
        return self.name if self.tied_to is None else self.tied_to

    @property
    def is_parameter(self) -> bool:
        """Whether it is listed and counted as a parameter: all that a checkpoint stores is."""
        return self.kind in PARAMETER_KINDS


@dataclass(frozen=True)
class DtypeSum:
    """How many elements are of one dtype, and the bytes of these."""

    elements: int
    nbytes: int


@dataclass(frozen=True, kw_only=True)
class ParameterTotals(Sums):
    """Sums over rows, every tensor once however many names it has.

    Attributes:
        names: number of parameter names.
        tensors: number of distinct parameter tensors.
        parameters: number of parameter elements; what people mean by "124M parameters".  Of a
            checkpoint, which does not distinguish parameters from buffers, all elements.
        elements: the same number if buffers may be among them, as in a state_dict; None if all of them are
            known to be parameters.
        trainable, frozen: the elements with and without ``requires_grad``; None if a checkpoint
            does not say.
        nbytes: bytes of the parameters.
        buffers, buffer_nbytes: elements and bytes of the buffers, listed or not.
        plain_tensors: number of attributes that are tensors and neither parameter nor buffer.
        dtypes: elements and bytes of parameters and buffers for each dtype, the most bytes first.
        uninitialized: number of lazy parameters without a shape; they count nowhere else.
    """

    row = ParameterRow
    fold = "block"
    tells_of_none = True

    names: int
    tensors: int
    parameters: int
    elements: int | None
    trainable: int | None
    frozen: int | None
    nbytes: int
    buffers: int
    buffer_nbytes: int
    plain_tensors: int
    uninitialized: int
    dtypes: Mapping[str, DtypeSum] = field(default_factory=dict)


Listing: TypeAlias = Report[ParameterRow, ParameterTotals]
