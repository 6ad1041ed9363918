"""A model that could not be checked, as rows beside those of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from paramtool.errors import ParamtoolError, Problems
from paramtool.quantities import counted
from paramtool.records.expectation import ExpectationRow

MOST_ERRORS = 50
"""Errors of one model that have a row; the last of more says how many there are."""


class Unanswered(Problems):
    """Carry why some expectations of a model cannot be checked, and what became of the others."""

    def __init__(self, errors: Iterable[ParamtoolError], rows: Sequence[ExpectationRow] = ()) -> None:
        super().__init__(errors)
        self.rows = tuple(rows)


def failure_rows(model: str | None, error: ParamtoolError) -> Iterator[ExpectationRow]:
    """Yield a row for each error that kept `model` from being checked, with its place in a file."""
    errors = error.errors if isinstance(error, Problems) else [error]
    for each in islice(errors, MOST_ERRORS):
        place = each.place if each.place is not None and not each.place.text.is_option else None
        hint = each.hint
        yield ExpectationRow(
            model=model,
            error=f"{each.message}; {hint}" if hint else each.message,
            file=place.text.name if place else None,
            line=place.line if place else None,
            column=place.column if place else None,
        )
    if len(errors) > MOST_ERRORS:
        yield ExpectationRow(model=model, error=f"… and {counted(len(errors) - MOST_ERRORS, 'more error')}")
