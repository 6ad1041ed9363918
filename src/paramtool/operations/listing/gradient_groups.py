"""Choose, order and fold the rows of gradients; the uses of a parameter stay below it.  No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.name_parts import is_below
from paramtool.operations.listing.selection import Selection, unknown_module, unknown_name
from paramtool.records.column import sort_keys, unsortable
from paramtool.records.gradient import VERDICTS, GradientRow, Gradients
from paramtool.suggestion import hint_of_names

SORT_KEYS = tuple(each for each in sort_keys(GradientRow) if each not in ("kind", "count"))

_WORST = ("nan", "inf", "exploding", "vanishing", "none", "zero", "ok")


def groups(rows: Iterable[GradientRow]) -> Iterator[list[GradientRow]]:
    """Yield each parameter with its uses, and each call of a module by itself."""
    group: list[GradientRow] = []
    for row in rows:
        if row.kind != "use" and group:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def select(report: Gradients, selection: Selection) -> Gradients:
    """Return the parameters that `selection` keeps by any of their names, and the modules these are in.

    The totals are those of what is kept.

    Raises:
        NothingMatched: if it keeps none.
        ParamtoolError: for a pattern that searches too long.
    """
    if not selection:
        return report
    rows = report.rows
    known = [name for row in rows if row.kind == "parameter" for name in (row.name, *row.tied)]
    names = selection.kept(known)
    if not names:
        hint = unknown_name(selection.names, known) or unknown_module(selection.modules, known)
        hint = hint or hint_of_names(known)
        raise NothingMatched("no parameter matches the selection", hint=hint)
    owners = {name.rpartition(".")[0] for name in names}
    kept = [row for group in groups(rows) if _is_kept(group[0], names, owners) for row in group]
    return _counted(replace(report, rows=tuple(kept)))


def _is_kept(row: GradientRow, names: set[str], owners: set[str]) -> bool:
    if row.kind == "parameter":
        return not names.isdisjoint((row.name, *row.tied))
    return row.name in owners or any(is_below(owner, row.name) for owner in owners if row.name)


def _counted(report: Gradients) -> Gradients:
    """Return `report` with the totals of its rows."""
    rows = [row for row in report.rows if row.kind == "parameter"]
    learned = [row for row in rows if row.requires_grad]
    found = Counter(row.verdict for row in learned)
    totals = replace(
        report.totals,
        names=sum(1 + len(row.tied) for row in rows),
        tensors=len(rows),
        parameters=sum(row.numel or 0 for row in rows),
        frozen=len(rows) - len(learned),
        verdicts={verdict: found[verdict] for verdict in VERDICTS},
        uses=None if report.totals.uses is None else sum(row.uses or 0 for row in learned),
    )
    return replace(report, totals=totals)


def check_sort(key: str, *, by_use: bool | None, layers: bool) -> None:
    """Refuse a key that is not a field of a row, or of rows that are not asked for.

    Raises:
        ParamtoolError: with the nearest field, or the option that it takes.
    """
    if key not in SORT_KEYS:
        raise unsortable(key, SORT_KEYS)
    if key in ("output_std", "gradient_std", "type") and not layers:
        raise ParamtoolError(f"cannot sort by '{key}', which is of modules", hint="add --layers")
    if key in ("share", "cosine", "operation", "call", "module") and by_use is False:
        raise ParamtoolError(f"cannot sort by '{key}', which is of uses", hint="leave out --no-by-use")


def sort(rows: Sequence[GradientRow], key: str, reverse: bool = False) -> list[GradientRow]:
    """Return the rows by one field: numbers with the largest first, words from A to Z, unknowns last.

    What only uses have orders the uses of each parameter; anything else orders the parameters.
    """

    def value(row: GradientRow) -> Any:
        return getattr(row, key)

    found = [[group[0], *_ordered(group[1:], value, reverse)] for group in groups(rows)]
    ordered = []
    for is_module in (False, True):
        some = [group for group in found if (group[0].kind == "module") is is_module]
        ordered.extend(_ordered(some, lambda group: value(group[0]), reverse))
    return [row for group in ordered for row in group]


def _ordered(items: Sequence[Any], value_of: Callable[[Any], Any], reverse: bool) -> list[Any]:
    known = [each for each in items if _is_known(value_of(each))]
    unknown = [each for each in items if not _is_known(value_of(each))]
    is_word = any(isinstance(value_of(each), str) for each in known)
    return sorted(known, key=value_of, reverse=reverse if is_word else not reverse) + unknown


def _is_known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def fold_depth(report: Gradients, depth: int) -> Gradients:
    """Return one row for each name of at most `depth` parts, and for each module that goes deeper.

    The norm is that of all its gradients as one vector, and so is the ratio; `abs_max` is the largest, and
    the verdict the worst.  Uses are left out.
    """
    found: dict[tuple[str, str], list[GradientRow]] = {}
    for row in report.rows:
        if row.kind != "use":
            parts = row.name.split(".")
            found.setdefault((row.kind, ".".join(parts[:depth])), []).append(row)
    rows = [
        _folded(name, group)
        for (kind, name), group in found.items()
        if kind == "parameter" or any(row.name == name for row in group)
    ]
    return replace(report, rows=tuple(rows))


def _folded(name: str, group: Sequence[GradientRow]) -> GradientRow:
    first = group[0]
    if first.kind == "module":
        return next(row for row in group if row.name == name)
    if len(group) == 1:
        return replace(first, name=name)
    norm, weights = _root(row.norm for row in group), _root(map(_weight_norm, group))
    known = [row.abs_max for row in group if row.abs_max is not None]
    learns = {row.requires_grad for row in group}
    return GradientRow(
        kind="parameter",
        name=name,
        numel=sum(row.numel or 0 for row in group),
        dtype=first.dtype if len({row.dtype for row in group}) == 1 else None,
        requires_grad=learns.pop() if len(learns) == 1 else None,
        norm=norm,
        abs_max=(math.nan if any(map(math.isnan, known)) else max(known)) if known else None,
        ratio=norm / weights if norm is not None and weights else None,
        sensitivity=_root(row.sensitivity for row in group),
        verdict=min((row.verdict or "none" for row in group), key=_WORST.index),
        count=len(group),
    )


def _weight_norm(row: GradientRow) -> float | None:
    """Return the norm of the parameter, which its ratio was made of."""
    return row.norm / row.ratio if row.norm is not None and row.ratio else None


def _root(norms: Iterable[float | None]) -> float | None:
    known = [each for each in norms if each is not None]
    return math.hypot(*known) if known else None
