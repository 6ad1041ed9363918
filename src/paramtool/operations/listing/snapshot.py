"""List what a snapshot remembers of a model.  No torch."""

from __future__ import annotations

from dataclasses import replace

from paramtool.audience import worded
from paramtool.errors import CannotAnswer
from paramtool.name_parts import below, is_below
from paramtool.operations.listing.checkpoint import no_module
from paramtool.records.parameter import (
    STATISTICS_COLUMNS,
    Listing,
    ParameterRow,
    listing_columns,
)
from paramtool.records.totals import count_once, totals


def remembered(
    report: Listing,
    name: str,
    *,
    module: str | None = None,
    stats: bool = False,
    values: bool = False,
) -> Listing:
    """Return `report`, or a part of it, with the columns that are asked for.

    Args:
        report: what the snapshot `name` was written from.
        name: the snapshot, for messages.
        module: only what this submodule has, by its own names.
        stats: with statistics.
        values: with the elements.

    Raises:
        CannotAnswer: if the snapshot has no statistics or values.
        ParamtoolError: if it has no such module.
    """
    wanted = {"statistics": (stats, "mean", "--stats"), "values": (values, "values", "--values")}
    for what, (is_wanted, column, option) in wanted.items():
        if is_wanted and report.rows and column not in report.columns:
            hint = worded(f"write it with {option} --json", f"make it with inspect(…, {option[2:]}=True)")
            raise CannotAnswer(f"the snapshot {name} has no {what}", hint=hint)
    left_out = [*(() if stats else STATISTICS_COLUMNS), *(() if values else ("values",))]
    rows = count_once(replace(row, **dict.fromkeys(left_out)) for row in report.rows)  # type: ignore[arg-type]
    columns = listing_columns(stats, values)
    if not module:
        return replace(report, rows=tuple(rows), columns=columns)
    rows = _below(rows, module)
    modules = {
        below(path, module): kind
        for path, kind in report.modules.items()
        if path == module or is_below(path, module)
    }
    return replace(report, rows=tuple(rows), columns=columns, modules=modules, totals=totals(rows))


def _below(rows: list[ParameterRow], module: str) -> list[ParameterRow]:
    """Return what is below the path `module`; the first there of a tied tensor is its first name."""
    inside = [row for row in rows if is_below(row.name, module)]
    if not inside:
        raise no_module(module, [row.name for row in rows])
    first: dict[tuple[str, str], str] = {}
    found = []
    for row in inside:
        name = below(row.name, module)
        earlier = first.setdefault((row.kind, row.tensor), name)
        found.append(replace(row, name=name, tied_to=earlier if earlier != name else None))
    return count_once(found)
