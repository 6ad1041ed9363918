"""Several models, one line each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from paramtool.records.column import COUNT, NAME, column
from paramtool.records.report import Report, Sums

COLUMNS = ("name", "format", "tensors", "numel", "nbytes", "dtypes", "beside", "error")
SORT_KEYS = ("name", "format", "tensors", "numel", "nbytes")

_NUMBER = column("number", unknown="?")


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """The totals of one model.

    Attributes:
        name: as it was typed.
        format: ``spec``, ``snapshot``, ``Python``, or that of a checkpoint; None if it could not be opened.
        tensors: distinct tensors among what is listed.
        numel: elements of these.
        nbytes: bytes of these.
        dtypes: dtypes, the most bytes first.
        beside: what else a checkpoint holds.
        error: why it was not listed.
        count: 1; no two models fold.
    """

    name: str = field(metadata=NAME)
    format: str | None = field(
        default=None, metadata=column(unknown="?", drop=3, tone="accent", labelled=False)
    )
    tensors: int | None = field(default=None, metadata=_NUMBER)
    numel: int | None = field(default=None, metadata=_NUMBER)
    nbytes: int | None = field(
        default=None, metadata=column("bytes", unknown="?", tone="quiet", labelled=False)
    )
    dtypes: str = field(default="", metadata=column(drop=2, tone="quiet", labelled=False))
    beside: str | None = field(default=None, metadata=column(shown="filled", wraps=True, drop=1))
    error: str | None = field(default=None, metadata=column(shown="filled", wraps=True, tone="bad"))
    count: int = field(default=1, metadata=COUNT)


@dataclass(frozen=True, kw_only=True)
class ModelTotals(Sums):
    """Sums over several models.

    Attributes:
        models: how many were named.
        failed: how many of them could not be listed.
        tensors, numel, nbytes: sums over the others.
    """

    row = ModelRow

    models: int
    failed: int
    tensors: int
    numel: int
    nbytes: int


Models: TypeAlias = Report[ModelRow, ModelTotals]


def models_report(rows: tuple[ModelRow, ...]) -> Models:
    """Return the report of several models."""
    totals = ModelTotals(
        models=len(rows),
        failed=sum(row.error is not None for row in rows),
        tensors=sum(row.tensors or 0 for row in rows),
        numel=sum(row.numel or 0 for row in rows),
        nbytes=sum(row.nbytes or 0 for row in rows),
    )
    return Report("models", None, rows, totals, COLUMNS)
