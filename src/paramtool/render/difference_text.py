"""Differences, and the verdict on them, in sentences."""

from __future__ import annotations

from paramtool.quantities import counted
from paramtool.records.difference import DifferenceRow, DifferenceTotals
from paramtool.render.names import shown

_SENTENCES = {
    "removed": "{name} {was} is gone",
    "added": "{name} {now} is new",
    "renamed": "{name} is now {now} ({because})",
    "reshaped": "{name} has the shape {now}, was {was}",
    "retyped": "{name} is {now}, was {was}",
    "frozen": "{name} is frozen",
    "unfrozen": "{name} is no longer frozen",
    "tied": "{name} is now one tensor with {now}",
    "untied": "{name} is no longer one tensor with {was}",
    "persistence": "{name} is {now}, was {was}",
    "kind": "{name} is a {now}, was a {was}",
    "values": "{name} has other values: {differing}, by up to {max_abs}",
}


_COUNTED = {"values": "in values", "persistence": "in persistence", "kind": "in kind"}
"""Changes that are nouns, after their count."""


def sentence(row: DifferenceRow) -> str:
    """Return what one row says, names and all."""
    cells = {key: _cell(getattr(row, key)) for key in ("name", "was", "now", "because", "max_abs")}
    if row.differing is not None:
        cells["differing"] = f"{row.differing:,} {'differs' if row.differing == 1 else 'differ'}"
    tied = f", one tensor with {shown(row.tied_to)}" if row.tied_to else ""
    count = f", ×{row.count:,}" if row.count > 1 else ""
    return _SENTENCES[row.change].format(**cells) + tied + count


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return str(list(value))
    return f"{value:.4g}" if isinstance(value, float) else shown(str(value))


def verdict(totals: DifferenceTotals) -> str:
    """Return whether B would load what A saves, and why not."""
    load = f"a strict load of {shown(totals.a)} into {shown(totals.b)}"
    if totals.loads:
        return f"{load} works"
    return f"{load} fails: {'; '.join(map(shown, totals.reasons))}"


def lines(totals: DifferenceTotals) -> list[str]:
    """Return what all differences come to, the verdict, and what it would do silently."""
    if totals.differences:
        classes = ", ".join(
            f"{count:,} {_COUNTED.get(change, change)}" for change, count in totals.changes.items()
        )
        told = [f"{counted(totals.differences, 'difference')}: {classes}"]
    else:
        compared = "including values" if totals.values else "not counting values"
        if totals.uncompared:
            compared += f" except those of {counted(len(totals.uncompared), 'tensor')}"
        what = "no difference between" if totals.loads else "no tensor differs between"
        what = "no difference in the selected part of" if totals.selected else what
        told = [f"{what} {shown(totals.a)} and {shown(totals.b)}, {compared}"]
    if totals.values and totals.changes.get("retyped"):
        told.append("where dtypes differ, A was cast to the dtype in B before values were compared")
    was, now = totals.parameters_was, totals.parameters_now
    if was is not None and now is not None and was != now:
        told.append(f"{counted(now, 'parameter')}, were {was:,} ({now - was:+,})")
    of_all = "whatever is selected, " if totals.selected and not totals.loads else ""
    told.append(f"{of_all}{verdict(totals)}")
    told += [f"it silently {shown(warning)}" for warning in totals.warnings]
    return told
