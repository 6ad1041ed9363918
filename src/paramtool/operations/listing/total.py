"""One number about everything that is listed.  No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from paramtool.errors import CannotAnswer, ParamtoolError, shorten
from paramtool.records.parameter import ParameterRow
from paramtool.suggestion import nearest_field

BY_DEFAULT = "numel"


def total(rows: Sequence[ParameterRow], field: str) -> int:
    """Return the sum of `field` over rows, every tensor once however many names it has.

    Args:
        rows: names of tensors; folded rows add up too.
        field: one of `FIELDS`.

    Raises:
        ParamtoolError: for any other field.
        CannotAnswer: for what a checkpoint does not say.
    """
    check_field(field)
    return FIELDS[field](rows)


def check_field(field: str) -> None:
    """Refuse a field that has no total.

    Raises:
        ParamtoolError: with the nearest field, and all.
    """
    if field not in FIELDS:
        listed = f"use one of {', '.join(FIELDS)}"
        near = nearest_field(field, FIELDS)
        error = ParamtoolError(f"there is no total of '{shorten(field)}'", hint=listed)
        raise error if near is None else error.mended(field, near)


def _numel(rows: Sequence[ParameterRow]) -> int:
    return sum(row.numel or 0 for row in rows if row.counted)


def _nbytes(rows: Sequence[ParameterRow]) -> int:
    return sum(row.nbytes or 0 for row in rows if row.counted)


def _trainable(rows: Sequence[ParameterRow]) -> int:
    return _requiring(rows, True)


def _frozen(rows: Sequence[ParameterRow]) -> int:
    return _requiring(rows, False)


def _requiring(rows: Sequence[ParameterRow], wanted: bool) -> int:
    parameters = [row for row in rows if row.is_parameter and row.counted]
    if any(row.requires_grad is None for row in parameters):
        raise CannotAnswer("requires_grad is unknown", hint="a checkpoint does not store it")
    return sum(row.numel or 0 for row in parameters if row.requires_grad is wanted)


def _tensors(rows: Sequence[ParameterRow]) -> int:
    return sum(row.counted for row in rows)


FIELDS: Mapping[str, Callable[[Sequence[ParameterRow]], int]] = {
    "numel": _numel,
    "nbytes": _nbytes,
    "trainable": _trainable,
    "frozen": _frozen,
    "tensors": _tensors,
    "names": len,
}
"""What there is a total of."""
