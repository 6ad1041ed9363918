"""Choose rows, by name, by module class and by order.  No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from paramtool.audience import worded
from paramtool.errors import BadArgument, NothingMatched
from paramtool.name_parts import is_below, modules_of
from paramtool.patterns import also_matched, matching
from paramtool.quantities import and_more
from paramtool.records.column import sort_keys, unsortable
from paramtool.records.parameter import ParameterRow
from paramtool.records.totals import count_once
from paramtool.suggestion import did_you_mean, hint_of_module, hint_of_names

Patterns = Sequence["re.Pattern[str]"]

SORT_KEYS = sort_keys(ParameterRow)


@dataclass(frozen=True)
class Selection:
    """What to keep: all conditions hold, each by any of its alternatives.

    Attributes:
        patterns, exclude: compiled expressions, searched in names.
        names: whole names.
        modules: paths of modules; what is in them, however deep, is kept.
        types: class names; a subclass matches as well.
    """

    patterns: Patterns = ()
    exclude: Patterns = ()
    types: Sequence[str] = ()
    names: Sequence[str] = ()
    modules: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse what is not a sequence of the right things.

        Raises:
            BadArgument: with the name of the attribute.
        """
        kinds: dict[str, Any] = {"patterns": re.Pattern, "exclude": re.Pattern}
        for name in ("patterns", "exclude", "types", "names", "modules"):
            given, kind = getattr(self, name), kinds.get(name, str)
            if not isinstance(given, (list, tuple)) or not all(isinstance(each, kind) for each in given):
                what = "compiled patterns" if name in kinds else "strings"
                raise BadArgument(f"{name} of a Selection must be a list of {what}")

    def __bool__(self) -> bool:
        return bool(self.patterns or self.exclude or self.types or self.names or self.modules)

    def kept(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` that all conditions but the types keep.

        Raises:
            ParamtoolError: for a pattern that searches too long.
        """
        known = list(names)
        found = matching(self.patterns, known) if self.patterns else set(known)
        if self.exclude:
            found -= matching(self.exclude, known)
        if self.names:
            found &= set(self.names)
        if self.modules:
            found = {name for name in found if is_inside(name, self.modules)}
        return found

    def notes(self, names: Iterable[str]) -> list[str]:
        """Return a note for each pattern that is a whole name and is found in others too."""
        known = list(names)
        found = ((each.pattern, also_matched(each.pattern, known)) for each in self.patterns)
        return [more_matched(pattern, *each) for pattern, each in found if each is not None]


def is_inside(name: str, modules: Iterable[str]) -> bool:
    """Return whether a name is below any of the paths; the root, which is "", has all."""
    return any(not path or is_below(name, path) for path in modules)


def more_matched(pattern: str, name: str, others: Sequence[str]) -> str:
    """Return what there is to say of a `pattern` that is the `name` of one tensor and matches `others`."""
    more = f"{others[0]}{and_more(len(others) - 1)}"
    said, exact = worded("--pattern", "the pattern"), worded("--name", "the name")
    return f"{said} {pattern} also matches {more}; {exact} {name} selects that one alone"


def select(rows: Iterable[ParameterRow], selection: Selection) -> list[ParameterRow]:
    """Return the rows that `selection` keeps, in their order; each tensor counts in the first of them.

    Raises:
        NothingMatched: if it keeps none.
        ParamtoolError: for a pattern that searches too long.
    """
    rows = list(rows)
    if not selection and all(row.counted for row in rows):
        return rows
    names = selection.kept(row.name for row in rows)
    kept = [row for row in rows if row.name in names]
    if selection.types:
        kept = [row for row in kept if any(kind in row.bases for kind in selection.types)]
    if selection and not kept:
        known = [row.name for row in rows]
        raise NothingMatched(
            absent_module(selection.modules, known) or "no parameter matches the selection",
            hint=_hint(rows, selection),
        )
    return count_once(kept)


def unknown_name(names: Iterable[str], known: Sequence[str]) -> str | None:
    """Return the nearest known name of the first of `names` that is not known."""
    first = next((name for name in names if name not in known), None)
    return None if first is None else did_you_mean(first, known)


def unknown_module(modules: Iterable[str], known: Sequence[str]) -> str | None:
    """Return the nearest path of the first of `modules` that nothing is in."""
    first = next((path for path in modules if not any(is_inside(name, [path]) for name in known)), None)
    return None if first is None else hint_of_module(first, modules_of(known), known)


def absent_module(modules: Iterable[str], known: Sequence[str]) -> str | None:
    """Return the message for the first of `modules` that nothing is in; None if each has something."""
    first = next((path for path in modules if not any(is_inside(name, [path]) for name in known)), None)
    return None if first is None else f"no module '{first}'"


def _hint(rows: list[ParameterRow], selection: Selection) -> str:
    absent = unknown_name(selection.names, [row.name for row in rows])
    absent = absent or unknown_module(selection.modules, [row.name for row in rows])
    if absent:
        return absent
    known = {base for row in rows for base in row.bases}
    for kind in selection.types:
        near = did_you_mean(kind, known)
        if kind not in known and near:
            return near
    if selection.types and not any(kind in known for kind in selection.types):
        classes = sorted({row.type for row in rows if row.type})
        return f"the classes are {', '.join(classes[:5])}" if classes else "there are no parameters"
    return hint_of_names([row.name for row in rows]) if rows else "there are no parameters"


def check_sort(key: str) -> None:
    """Refuse a key that is not a field of a row.

    Raises:
        ParamtoolError: with the nearest field.
    """
    if key not in SORT_KEYS:
        raise unsortable(key, SORT_KEYS)


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
