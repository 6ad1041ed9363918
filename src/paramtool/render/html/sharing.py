"""The picture of `shared`: the names of each tensor together, and the bytes of those that overlap."""

from __future__ import annotations

from collections.abc import Sequence

from paramtool.quantities import counted
from paramtool.records.sharing import Sharing, SharingRow
from paramtool.render.cells import for_people
from paramtool.render.html.budget import short
from paramtool.render.html.drawings import legend, strip
from paramtool.render.html.markup import EMPTY, SPACE, Markup, tag, text, together
from paramtool.render.html.table import name_cell, tables
from paramtool.render.html.view import section

MOST_GROUPS = 100
"""Groups that are drawn."""

MOST_NAMES = 20
"""Names of one group that are drawn."""

_TONES = {"tied": "link", "aliased": "notable", "equal": "quiet"}
_SAID = {
    "tied": "tied: one tensor under several names",
    "aliased": "aliased: different tensors over the same bytes",
    "equal": "equal: the same values, nothing shared",
}


def draw(report: Sharing) -> Markup:
    """Return the parts of a report on sharing."""
    groups: dict[int | str, list[SharingRow]] = {}
    for row in report.rows:
        groups.setdefault(row.group, []).append(row)
    drawn = [_group(number, rows) for number, rows in list(groups.items())[:MOST_GROUPS]]
    kinds = dict.fromkeys(row.sharing for row in report.rows)
    more = len(groups) - len(drawn)
    note = tag("p", text(f"{counted(more, 'more group')}, in the table")) if more > 0 else EMPTY
    key = legend(*((_TONES[each], _SAID[each]) for each in kinds))
    return together(
        [
            section("Groups", key, *drawn, note) if drawn else EMPTY,
            section("Names", tables(report, "Names that share")),
        ]
    )


def _group(number: int | str, rows: Sequence[SharingRow]) -> Markup:
    """Return the names of a group, each beside the bytes that it covers, on one scale."""
    first = rows[0]
    said = first.sharing
    if said != "aliased":  # tensors that overlap have a shape each
        facts = [for_people(first, "shape"), first.dtype or "", for_people(first, "nbytes")]
        said += f" {', '.join(each for each in facts if each)}"
    heading = tag("h3", text(f"group {number}: "), tag("span", text(said), kind=f"t-{_TONES[first.sharing]}"))
    whole = _whole(rows)
    names = [_name(row, whole) for row in rows[:MOST_NAMES]]
    rest = (
        tag("li", text(f"{len(rows) - MOST_NAMES:,} more, in the table")) if len(rows) > MOST_NAMES else EMPTY
    )
    axis = EMPTY
    if whole is not None:
        axis = tag("p", text(f"bytes {whole[0]:,} to {whole[1]:,} of the storage"), kind="t-quiet")
    return tag("figure", heading, tag("ul", *names, rest, kind=f"names {first.sharing}"), axis, kind="group")


def _whole(rows: Sequence[SharingRow]) -> tuple[int, int] | None:
    """Return the first and the last byte that a group covers; None where all names have the same."""
    starts = [row.start for row in rows if row.start is not None]
    stops = [row.stop for row in rows if row.stop is not None]
    return (min(starts), max(stops)) if starts and stops else None


def _name(row: SharingRow, whole: tuple[int, int] | None) -> Markup:
    parts = [name_cell(row.name)]
    if row.sharing == "aliased":
        said = f" {for_people(row, 'shape')} {row.dtype or ''}"
        parts.append(tag("span", text(said.rstrip()), kind="t-quiet"))
    if row.count > 1:
        parts.append(tag("span", text(f" ×{row.count}"), kind="t-accent"))
    if row.tied_to is not None and whole is not None:
        parts.append(tag("span", text(f" = {short(row.tied_to)}"), kind="t-link"))
    if row.note:
        parts.append(tag("span", text(f" {short(row.note)}"), kind="t-notable"))
    drawn = EMPTY
    if whole is not None and row.start is not None and row.stop is not None:
        said = tag("span", text(f"{row.start:,} to {row.stop:,}"), kind="n t-quiet")
        drawn = together([strip(row.start, row.stop, whole, _TONES[row.sharing]), said])
    return tag("li", tag("span", *parts, kind="what"), SPACE, drawn)
