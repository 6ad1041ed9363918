"""What a tree says about all records below a branch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from paramtool.quantities import byte_size, counted
from paramtool.records.checkpoints import CheckpointRow, CheckpointTotals
from paramtool.records.contents import ContentRow, ContentTotals
from paramtool.records.cost import CostRow, CostTotals
from paramtool.records.definitions import DefinitionRow, DefinitionTotals
from paramtool.records.difference import DifferenceRow, DifferenceTotals
from paramtool.records.gradient import GradientRow, GradientTotals
from paramtool.records.initialization import InitializationRow, InitializationTotals
from paramtool.records.models import ModelRow, ModelTotals
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.records.sharing import SharingRow, SharingTotals
from paramtool.render.cells import for_people
from paramtool.render.names import shown
from paramtool.render.summary import noun_of


@singledispatch
def below(totals: Any, rows: Sequence[Any], is_all: bool) -> str:
    """Return what there is to say of all rows below a branch.

    Args:
        totals: of the report, whose type says which rows these are.
        rows: at least one, but for a report without any.
        is_all: whether the branch is the root.
    """
    raise TypeError(f"no subtotal for {type(totals).__name__} of {len(rows)} rows, {is_all=}")


@below.register
def _(totals: ParameterTotals, rows: Sequence[ParameterRow], _is_all: bool) -> str:
    """Count a tied tensor at its first name; where all are counted elsewhere, name the first of these."""
    known = [row for row in rows if row.counted and row.is_parameter]
    elsewhere = next((row.tied_to for row in rows if row.is_parameter and not row.counted), None)
    if elsewhere is not None and not known:
        return f"tied, counted at {shown(elsewhere)}"
    numel, nbytes = sum(row.numel or 0 for row in known), sum(row.nbytes or 0 for row in known)
    return f"{counted(numel, noun_of(totals))}, {byte_size(nbytes)}"


@below.register
def _(_totals: CostTotals, rows: Sequence[CostRow], _is_all: bool) -> str:
    macs, saved = sum(row.macs for row in rows), sum(row.activation_nbytes for row in rows)
    return f"{counted(macs, 'MAC')}, saves {byte_size(saved)}"


@below.register
def _(_totals: ContentTotals, rows: Sequence[ContentRow], _is_all: bool) -> str:
    return counted(len(rows), "entry")


@below.register
def _(_totals: CheckpointTotals, rows: Sequence[CheckpointRow], _is_all: bool) -> str:
    return counted(len(rows), "checkpoint")


@below.register
def _(_totals: ModelTotals, rows: Sequence[ModelRow], _is_all: bool) -> str:
    return counted(len(rows), "model")


@below.register
def _(_totals: DefinitionTotals, rows: Sequence[DefinitionRow], _is_all: bool) -> str:
    return counted(len(rows), "definition")


@below.register
def _(_totals: InitializationTotals, rows: Sequence[InitializationRow], _is_all: bool) -> str:
    return counted(sum(row.numel for row in rows), "parameter")


@below.register
def _(_totals: GradientTotals, rows: Sequence[GradientRow], _is_all: bool) -> str:
    """Return the norm of all gradients as one vector, which is what clipping looks at."""
    own = [row for row in rows if row.kind == "parameter"]
    norms = [row.norm for row in own if row.norm is not None]
    norm = f", norm {math.hypot(*norms):.4g}" if norms else ""
    return f"{counted(sum(row.numel or 0 for row in own), 'parameter')}{norm}" if own else ""


@below.register
def _(totals: SharingTotals, rows: Sequence[SharingRow], is_all: bool) -> str:
    if is_all:
        return counted(totals.groups, "group")
    first = rows[0]
    if first.sharing != "tied":
        return first.sharing
    return (
        f"{first.sharing}, {for_people(first, 'shape')}, {first.dtype or '?'}, {for_people(first, 'nbytes')}"
    )


@below.register
def _(_totals: DifferenceTotals, rows: Sequence[DifferenceRow], _is_all: bool) -> str:
    return counted(sum(row.count for row in rows), "difference")
