"""What a conversion reports: one row per name, and the totals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from paramtool.elements.cast_losses import Losses
from paramtool.operations.conversion.items import Item
from paramtool.operations.conversion.plan import Plan
from paramtool.records.conversion import (
    LOSS_COLUMNS,
    PLAN_COLUMNS,
    Conversion,
    ConversionRow,
    ConversionTotals,
)
from paramtool.records.report import Report


def report_of(
    plan: Plan,
    losses: Mapping[str, Losses] | None,
    metadata: Mapping[str, str],
    *,
    files: Mapping[str, str] | None = None,
    written: Sequence[Path] = (),
    digests: Mapping[str, str] | None = None,
) -> Conversion:
    """Return the report.

    Args:
        plan: what was done.
        losses: of each tensor by its new name; None if no elements were read.
        metadata: what every file carries.
        files: the file of each tensor by its new name.
        written: every file.
        digests: the SHA-256 of each tensor by its new name.
    """
    first = plan.items[0].source
    is_one = all(each.source == first for each in plan.items)
    rows = [
        _row(each, plan, is_one, losses, files or {}, digests or {})
        for kept in (True, False)
        for each in plan.items
        if (each.left_out is None) == kept
    ]
    columns = PLAN_COLUMNS + (LOSS_COLUMNS if losses is not None else ())
    columns += ("sha256",) if digests is not None else ()
    names = ", ".join(each.name for each in plan.sources.checkpoints)
    return Report("convert", names, tuple(rows), _totals(plan, losses, metadata, written), columns)


def _row(
    item: Item,
    plan: Plan,
    is_one: bool,
    losses: Mapping[str, Losses] | None,
    files: Mapping[str, str],
    digests: Mapping[str, str],
) -> ConversionRow:
    source = None if is_one else plan.sources.checkpoints[item.source].name
    if item.left_out is not None:
        return ConversionRow(
            name=item.was,
            dtype=item.stored.dtype,
            nbytes=item.stored.nbytes,
            left_out=item.left_out,
            kind=f"left out of {item.source}",
            source=source,
            shape=item.stored.shape,
        )
    owner = plan.owners[item.name]
    found = None if losses is None else losses[owner.name]
    return ConversionRow(
        name=item.name,
        was=None if item.was == item.name else item.was,
        was_dtype=None if item.stored.dtype == item.dtype else item.stored.dtype,
        dtype=item.dtype,
        nbytes=_nbytes(item, plan),
        tied_to=None if owner is item else owner.name,
        overflowed=None if found is None else found.overflowed,
        vanished=None if found is None else found.vanished,
        nan=None if found is None else found.nan,
        file=files.get(owner.name),
        sha256=digests.get(owner.name),
        source=source,
        shape=item.stored.shape,
    )


def _nbytes(item: Item, plan: Plan) -> int:
    return plan.sizes[plan.owners[item.name].name]


def _sum(losses: Iterable[Losses], field: str) -> int | None:
    """Return what was counted; None if nothing was."""
    known = [number for each in losses if (number := getattr(each, field)) is not None]
    return sum(known) if known else None


def _totals(
    plan: Plan, losses: Mapping[str, Losses] | None, metadata: Mapping[str, str], written: Sequence[Path]
) -> ConversionTotals:
    counted = {} if losses is None else {each: _sum(losses.values(), each) for each in LOSS_COLUMNS}
    kept = plan.kept
    return ConversionTotals(
        sources=tuple(each.name for each in plan.sources.checkpoints),
        names=len(kept),
        tensors=len(plan.stored),
        nbytes=sum(plan.sizes.values()),
        source_nbytes=sum(each.nbytes for one in plan.sources.checkpoints for each in one.tensors),
        renamed=sum(each.name != each.was for each in kept),
        cast=sum(each.dtype != each.stored.dtype for each in kept),
        left_out=len(plan.items) - len(kept),
        rules=plan.rules,
        metadata=dict(metadata),
        files=tuple(map(str, written)),
        **counted,
    )
