"""The picture of `inspect --cost`: the memory as bars of its parts, and where the operations are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

from paramtool.quantities import byte_size, counted
from paramtool.records.cost import CostRow, Costs, InferenceMemory, TrainingMemory
from paramtool.render.cells import for_people
from paramtool.render.formats import folded
from paramtool.render.html.drawings import legend, parted_bar
from paramtool.render.html.markup import Markup, tag, text, together
from paramtool.render.html.module_tree import Measure, module_tree
from paramtool.render.html.table import plain_table, tables
from paramtool.render.html.view import section

PARTS = {
    "parameters": "accent", "buffers": "was", "gradients": "link", "states": "notable", "activations": "good",
}  # fmt: skip
"""The tone of each part of the memory, in the order of the bar."""


def draw(report: Costs) -> Markup:
    """Return the parts of a report on costs."""
    once_folded = folded(report)
    trees = [
        section(title, _tree(report, once_folded, measure, getattr(report.totals, total)))
        for title, (measure, total) in _MEASURES.items()
        if any(map(measure.size, report.rows))
    ]
    return together(
        [
            section("Memory", *_memory(report)),
            *trees,
            section("Modules", tables(report, "Modules", once_folded=once_folded)),
        ]
    )


def _memory(report: Costs) -> list[Markup]:
    """Return a bar for inference and one for each optimizer, all on one scale."""
    totals = report.totals
    uses: list[InferenceMemory | TrainingMemory] = [totals.inference, *totals.training]
    most = max(each.total for each in uses) or 1
    known = [{part.name: getattr(each, part.name) for part in fields(each)} for each in uses]
    rows = [
        [
            text(f"training with {each['optimizer']}" if "optimizer" in each else "inference"),
            text(byte_size(each["total"])),
            parted_bar([(each.get(part, 0) / most, tone) for part, tone in PARTS.items()]),
        ]
        for each in known
    ]
    drawn = [(tone, part) for part, tone in PARTS.items() if any(each.get(part) for each in known)]
    table = plain_table("Memory", ["for", "total", "parts"], rows)
    return [legend(*drawn), tag("div", table, kind="memory")]


def _tree(report: Costs, once_folded: Costs, measure: Measure, total: int) -> Markup:
    """Return the modules that have a part in a measure; the model itself, outside all others, is one."""
    rows = [
        row if row.name else replace(row, name="(model)") for row in once_folded.rows if measure.size(row)
    ]
    others = total - sum(map(measure.size, rows))
    return module_tree(rows, report.modules, measure, "module", others)


def _macs(row: CostRow) -> int:
    return row.macs


def _activations(row: CostRow) -> int:
    return row.activation_nbytes


def _facts(row: CostRow) -> Iterator[tuple[str, str]]:
    yield row.type or "", "accent"
    yield for_people(row, "output_shape"), ""
    yield for_people(row, "count"), "accent"
    yield "" if row.calls in (None, 1) else counted(row.calls, "call"), "quiet"


_MEASURES = {
    "MACs by module": (Measure(_macs, "{:,}".format, _facts), "macs"),
    "Saved activations by module": (Measure(_activations, byte_size, _facts), "activation_nbytes"),
}
"""What is drawn as a tree, and the field of the totals that has the whole."""
