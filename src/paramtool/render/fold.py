"""What makes two rows of different blocks alike, and the one row that stands for several.

The fields of a record say what several rows make of them: see `paramtool.records.column`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from paramtool.name_parts import folded as folded_names
from paramtool.records.column import Column, columns_of
from paramtool.records.constructor import changed
from paramtool.records.moments import pooled_mean, pooled_std

MOVING = -1
"""Stands for the number of a row that depends on where its block is."""

Row = TypeVar("Row")

_DIGITS = re.compile("[0-9]+")

_pooled_known: dict[type[Any], list[Column]] = {}


class Likeness:
    """Numbers rows of one type so that rows that are alike in different blocks have the same number."""

    def __init__(self, row: type[Any]) -> None:
        columns = columns_of(row).values()
        same = [each.name for each in columns if each.pooled in ("same", "sum")]
        self._path = [each.name for each in columns if each.pooled == "path"]
        self._paths = [each.name for each in columns if each.pooled == "paths"]
        self._numbered = [each.name for each in columns if each.pooled == "numbered"]
        self._same = attrgetter(*same)
        self._facts = attrgetter(*same, *self._path, *self._paths, *self._numbered)
        self._numbers: dict[object, int] = {}
        self._known: dict[object, int] = {}

    def number(self, row: Any) -> int:
        """Return the number of a row; `MOVING` if it depends on the path of its block."""
        facts = self._facts(row)
        found = self._known.get(facts)
        if found is None:
            is_moving = self._paths or any(getattr(row, name) is not None for name in self._path)
            found = self._known[facts] = MOVING if is_moving else self.number_inside(row, "")
        return found

    def number_inside(self, row: Any, path: str) -> int:
        """Return the number of a row in the block whose name with a dot is `path`."""
        return self._numbers.setdefault(self._identity(row, path), len(self._numbers))

    def _identity(self, row: Any, path: str) -> tuple[object, ...]:
        found: list[object] = [self._same(row)]
        for name in self._path:
            value = getattr(row, name)
            found.append(None if value is None else _relative(value, path))
        for name in self._paths:
            found.append(tuple(_relative(each, path) for each in getattr(row, name)))
        for name in self._numbered:
            value = getattr(row, name)
            found.append(None if value is None else _DIGITS.sub("0", value))
        return tuple(found)


def merged(rows: Sequence[Row], path: str, folded: str) -> Row:
    """Return the row that counts all names of `rows`, which are of one type; its `shape` is of one.

    Args:
        rows: alike, in the order of their blocks.
        path: the name of the first block.
        folded: that of all of them.
    """
    first: Any = rows[0]
    columns = columns_of(type(first)).values()
    moved = {
        each.name: _moved(getattr(first, each.name), f"{path}.", f"{folded}.")
        for each in columns
        if each.pooled == "path"
    }
    name = f"{folded}{first.name[len(path) :]}"
    found: Row = changed(first, **_of_alike(first, rows), **moved, name=name)
    return found


def _of_alike(first: Any, rows: Sequence[Any]) -> dict[str, Any]:
    """Return the pooled fields of alike rows, whose sums are multiples because their numbers are equal."""
    found = {}
    for each in _pooled_columns(type(first)):
        value = getattr(first, each.name)
        if each.pooled != "sum":
            found[each.name] = _pooled(each, rows)
        else:
            found[each.name] = None if value is None else value * len(rows)
    return found


def pooled(rows: Sequence[Any]) -> dict[str, Any]:
    """Return what several rows come to, in each field of which they make something of their own."""
    return {each.name: _pooled(each, rows) for each in _pooled_columns(type(rows[0]))}


def _pooled_columns(row: type[Any]) -> list[Column]:
    if row in _pooled_known:
        return _pooled_known[row]
    columns = columns_of(row).values()
    found = [each for each in columns if each.pooled in _OF_VALUES or each.pooled in ("mean", "std")]
    return _pooled_known.setdefault(row, found)


def _pooled(column: Column, rows: Sequence[Any]) -> Any:
    if column.pooled in _ALL_OR_NONE and getattr(rows[0], column.mean or column.name) is None:
        return None
    values = list(map(attrgetter(column.name), rows))
    if column.pooled == "mean":
        return pooled_mean([row.numel for row in rows], values)
    if column.pooled == "std":
        return pooled_std([row.numel for row in rows], [getattr(row, column.mean) for row in rows], values)
    return _OF_VALUES[column.pooled](values)


def _relative(name: str | None, path: str) -> tuple[bool, str | None]:
    inside = name is not None and name.startswith(path)
    return (inside, name[len(path) :] if inside and name else name)


def _moved(name: str | None, path: str, to: str) -> str | None:
    """Return a name inside the module of `path` as one inside that of `to`."""
    return f"{to}{name[len(path) :]}" if name is not None and name.startswith(path) else name


def _span(groups: Sequence[int | str]) -> int | str:
    """Return the first and the last of some numbers, which may be such ranges themselves."""
    first, last = str(groups[0]).partition("..")[0], str(groups[-1]).rpartition("..")[2]
    return groups[0] if first == last else f"{first}..{last}"


def _joined(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(name for each in names for name in each)


def _as_one(names: Sequence[str | None]) -> str | None:
    """Return names that differ in a number as one, ``h.{0..2}.w``; the first if there is no such one."""
    known = [name for name in names if name is not None]
    found = folded_names(known)
    return None if not found else found[0] if len(found) == 1 else f"{found[0]} …"


def _sum(numbers: Sequence[int | None]) -> int | None:
    return None if None in numbers else sum(number for number in numbers if number is not None)


def _if_known(choose: Callable[[list[float]], float]) -> Callable[[Sequence[float | None]], float | None]:
    """Return the function that chooses one of some numbers; None if one is not known."""

    def chosen(numbers: Sequence[float | None]) -> float | None:
        known = [number for number in numbers if number is not None]
        return choose(known) if known and len(known) == len(numbers) else None

    return chosen


def _worst(choose: Callable[[list[float]], float]) -> Callable[[Sequence[float | None]], float | None]:
    """Return the function that chooses one of the known numbers; NaN is worse than any."""

    def chosen(numbers: Sequence[float | None]) -> float | None:
        known = [number for number in numbers if number is not None]
        if any(math.isnan(number) for number in known):
            return math.nan
        return choose(known) if known else None

    return chosen


def _root(numbers: Sequence[float | None]) -> float | None:
    """Return the norm of vectors with these norms as one vector; None if one is not known."""
    known = [number for number in numbers if number is not None]
    return math.hypot(*known) if known and len(known) == len(numbers) else None


_ALL_OR_NONE = ("mean", "std", "min", "max")
"""What is only known of several rows where it is of each; of a std where the mean is."""

_OF_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "any": any,
    "highest": _worst(max),
    "lowest": _worst(min),
    "max": _if_known(max),
    "min": _if_known(min),
    "numbered": _as_one,
    "paths": _joined,
    "root": _root,
    "span": _span,
    "sum": _sum,
}
"""What several values make together, where it depends on nothing else of their rows."""
