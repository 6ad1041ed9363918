"""Choose rows, by name, by module class and by order.  No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.patterns import matching
from paramtool.records.column import sort_keys
from paramtool.records.parameter import ParameterRow
from paramtool.records.totals import count_once
from paramtool.suggestion import did_you_mean

Patterns = Sequence["re.Pattern[str]"]

SORT_KEYS = sort_keys(ParameterRow)


@dataclass(frozen=True)
class Selection:
    """What to keep: all conditions hold, each by any of its alternatives.

    Attributes:
        patterns, exclude: compiled expressions, searched in names.
        types: class names; a subclass matches as well.
    """

    patterns: Patterns = ()
    exclude: Patterns = ()
    types: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.patterns or self.exclude or self.types)


def select(rows: Iterable[ParameterRow], selection: Selection) -> list[ParameterRow]:
    """Return the rows that `selection` keeps, in their order; each tensor counts in the first of them.

    Raises:
        NothingMatched: if it keeps none.
        ParamtoolError: for a pattern that searches too long.
    """
    rows = list(rows)
    if not selection and all(row.counted for row in rows):
        return rows
    kept = rows
    if selection.patterns:
        names = matching(selection.patterns, (row.name for row in kept))
        kept = [row for row in kept if row.name in names]
    if selection.exclude:
        names = matching(selection.exclude, (row.name for row in kept))
        kept = [row for row in kept if row.name not in names]
    if selection.types:
        kept = [row for row in kept if any(kind in row.bases for kind in selection.types)]
    if selection and not kept:
        raise NothingMatched("no parameter matches the selection", hint=_hint(rows, selection))
    return count_once(kept)


def _hint(rows: list[ParameterRow], selection: Selection) -> str:
    known = {base for row in rows for base in row.bases}
    for kind in selection.types:
        near = did_you_mean(kind, known)
        if kind not in known and near:
            return near
    if selection.types and not any(kind in known for kind in selection.types):
        classes = sorted({row.type for row in rows if row.type})
        return f"the classes are {', '.join(classes[:5])}" if classes else "there are no parameters"
    if len(rows) == 1:
        return f"the only name is '{rows[0].name}'"
    return (
        f"there are {len(rows):,} names, the first is '{rows[0].name}'" if rows else "there are no parameters"
    )


def check_sort(key: str) -> None:
    """Refuse a key that is not a field of a row.

    Raises:
        ParamtoolError: with the nearest field.
    """
    if key not in SORT_KEYS:
        hint = did_you_mean(key, SORT_KEYS) or f"use one of {', '.join(SORT_KEYS)}"
        raise ParamtoolError(f"cannot sort by '{key}'", hint=hint)


def sort(rows: Iterable[ParameterRow], key: str, reverse: bool = False) -> list[ParameterRow]:
    """Return the rows by one field: numbers with the largest first, words from A to Z, unknowns last.

    Raises:
        ParamtoolError: if `key` is not a field.
    """
    check_sort(key)
    rows = list(rows)
    known = [row for row in rows if getattr(row, key) is not None]
    unknown = [row for row in rows if getattr(row, key) is None]
    is_word = any(isinstance(getattr(row, key), str) for row in known)
    return (
        sorted(known, key=lambda row: getattr(row, key), reverse=reverse if is_word else not reverse)
        + unknown
    )
