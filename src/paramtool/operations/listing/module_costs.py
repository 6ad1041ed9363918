"""Choose, order and fold the rows of costs; what they say is of modules.  No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.name_parts import is_below
from paramtool.operations.listing.selection import Selection, unknown_name
from paramtool.records.column import sort_keys, unsortable
from paramtool.records.cost import CostRow, Costs
from paramtool.suggestion import hint_of_module

SORT_KEYS = sort_keys(CostRow)
BY_DEFAULT = "macs"
"""What the largest are chosen by where nothing else is asked for."""


def select(report: Costs, selection: Selection, module: str | None = None) -> Costs:
    """Return the modules that `selection` keeps by their paths; the totals stay those of the model.

    Args:
        report: of a model.
        selection: whose types are classes of the modules themselves.
        module: keep what is in this one, and itself.

    Raises:
        NothingMatched: if nothing is kept.
        ParamtoolError: if there is no such module.
    """
    rows: Sequence[CostRow] = report.rows
    if module:
        if module not in report.modules:
            paths = [path for path in report.modules if path]
            raise ParamtoolError(f"no module '{module}'", hint=hint_of_module(module, paths, ()))
        rows = [row for row in rows if row.name == module or is_below(row.name, module)]
    names = selection.kept(row.name for row in rows)
    rows = [row for row in rows if row.name in names]
    if selection.types:
        rows = [row for row in rows if any(kind in row.bases for kind in selection.types)]
    if selection and not rows:
        raise NothingMatched("no module matches the selection", hint=_hint(report.rows, selection))
    return replace(report, rows=tuple(rows))


def _hint(rows: Sequence[CostRow], selection: Selection) -> str:
    names = [row.name for row in rows if row.name]
    if selection.types:
        classes = sorted({row.type for row in rows if row.type})
        return f"the classes are {', '.join(classes[:5])}"
    return unknown_name(selection.names, names) or f"the modules are {', '.join(names[:5]) or 'none'}"


def check_sort(key: str) -> None:
    """Refuse a key that is not a field of a row.

    Raises:
        ParamtoolError: with the nearest field.
    """
    if key not in SORT_KEYS:
        raise unsortable(key, SORT_KEYS)


def sort(rows: Sequence[CostRow], key: str, reverse: bool = False) -> list[CostRow]:
    """Return the rows by one field: numbers with the largest first, words from A to Z, unknowns last.

    Raises:
        ParamtoolError: if `key` is not a field.
    """
    check_sort(key)
    known = [row for row in rows if getattr(row, key) is not None]
    unknown = [row for row in rows if getattr(row, key) is None]
    is_word = any(isinstance(getattr(row, key), str) for row in known)
    ordered = sorted(known, key=lambda row: getattr(row, key), reverse=reverse if is_word else not reverse)
    return ordered + unknown


def fold_depth(report: Costs, depth: int) -> Costs:
    """Return one row for each module whose path has at most `depth` parts, with all that is in it.

    Operations, activations and parameters add up; the calls and the shape are those of the module itself.

    Args:
        report: of a model.
        depth: parts of a path to keep, 1 or more.
    """
    groups: dict[str, list[CostRow]] = {}
    for row in report.rows:
        groups.setdefault(".".join(row.name.split(".")[:depth]), []).append(row)
    rows = [_folded(name, group, report.modules.get(name)) for name, group in groups.items()]
    return replace(report, rows=tuple(rows))


def _folded(name: str, group: Sequence[CostRow], kind: str | None) -> CostRow:
    own = next((row for row in group if row.name == name), None)
    return CostRow(
        name=name,
        type=kind,
        calls=own.calls if own else None,
        output_shape=own.output_shape if own else None,
        parameters=sum(row.parameters for row in group),
        macs=sum(row.macs for row in group),
        activation_nbytes=sum(row.activation_nbytes for row in group),
        count=sum(row.count for row in group),
        bases=own.bases if own else (),
    )
