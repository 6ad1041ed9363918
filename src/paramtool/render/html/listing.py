"""The picture of `inspect`: dtypes, the modules as a tree, the table, and what else a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterator

from paramtool.quantities import byte_size
from paramtool.records.contents import ContentRow
from paramtool.records.parameter import Listing, ParameterRow
from paramtool.render.blocks import fold_blocks
from paramtool.render.cells import for_people
from paramtool.render.formats import folded
from paramtool.render.html.budget import short
from paramtool.render.html.drawings import bar
from paramtool.render.html.markup import EMPTY, Markup, tag, text, together
from paramtool.render.html.module_tree import Measure, module_tree
from paramtool.render.html.table import name_cell, plain_table, tables
from paramtool.render.html.view import section

MOST_CONTENTS = 200
"""Entries beside the tensors that are listed."""


def draw(report: Listing) -> Markup:
    """Return the parts of a listing."""
    once_folded = folded(report)  # which leaves rows with statistics as they are
    return together(
        [
            section("Dtypes, buffers included", _dtypes(report)),
            modules(report, once_folded),
            section("Also in the file", _contents(report)),
            section("Tensors", tables(report, "Tensors", once_folded=once_folded)),
        ]
    )


def modules(report: Listing, once_folded: Listing) -> Markup:
    """Return the modules as a tree, by elements, or by bytes where there are several dtypes.

    Args:
        report: with the rows as they are.
        once_folded: with identical blocks as one row, if its rows can be folded.
    """
    if not report.rows:
        return EMPTY
    by_bytes = len({row.dtype for row in report.rows if row.dtype}) > 1
    rows = fold_blocks(report.rows) if once_folded is report else once_folded.rows
    measure = Measure(_nbytes, byte_size, _facts) if by_bytes else Measure(_numel, "{:,}".format, _facts)
    others = getattr(report.others, "nbytes" if by_bytes else "numel", 0)
    tree = module_tree(rows, report.modules, measure, "tensor", others)
    return section(f"Modules, by {'bytes' if by_bytes else 'elements'}", tree)


def _nbytes(row: ParameterRow) -> int:
    return (row.nbytes or 0) if row.counted else 0


def _numel(row: ParameterRow) -> int:
    return (row.numel or 0) if row.counted else 0


def _facts(row: ParameterRow) -> Iterator[tuple[str, str]]:
    """Yield the shape of a tensor, and what is unusual about it."""
    yield for_people(row, "shape"), ""
    yield for_people(row, "dtype"), "quiet"
    yield for_people(row, "count"), "accent"
    yield "" if row.is_parameter else row.kind, "quiet"
    yield "frozen" if row.requires_grad is False and row.is_parameter else "", "notable"
    yield f"= {row.tied_to}" if row.tied_to is not None else "", "link"


def _dtypes(report: Listing) -> Markup:
    """Return what each dtype takes, where there are several."""
    dtypes = report.totals.dtypes
    if len(dtypes) < 2:
        return EMPTY
    whole = sum(each.nbytes for each in dtypes.values()) or 1
    rows = [
        [text(dtype), text(f"{each.elements:,}"), text(byte_size(each.nbytes)), bar(each.nbytes / whole)]
        for dtype, each in dtypes.items()
    ]
    return plain_table("Dtypes of parameters and buffers", ["dtype", "elements", "nbytes", "part"], rows)


def _contents(report: Listing) -> Markup:
    """Return what a checkpoint holds beside the tensors, with bars of bytes to the scale of these."""
    entries = report.origin.contents if report.origin else ()
    if not entries:
        return EMPTY
    whole = max(report.totals.nbytes, *(each.nbytes for each in entries)) or 1
    rows = [[text("the tensors"), EMPTY, *_size(report.totals.nbytes, whole), EMPTY]]
    rows += [_entry(each, whole) for each in entries[:MOST_CONTENTS]]
    drawn = plain_table("Also in the file", ["name", "type", "nbytes", "", "value"], rows)
    more = len(entries) - MOST_CONTENTS
    note = f"{more:,} more; --contents lists all"
    return together([drawn, tag("p", text(note)) if more > 0 else EMPTY])


def _entry(entry: ContentRow, whole: int) -> list[Markup]:
    value = text(short(for_people(entry, "value")))
    return [name_cell(entry.name), text(short(entry.type)), *_size(entry.nbytes, whole), value]


def _size(nbytes: int, whole: int) -> list[Markup]:
    return [text(byte_size(nbytes)), bar(nbytes / whole)] if nbytes else [EMPTY, EMPTY]
