"""The modules as a tree, their tensors as its leaves, a subtotal at every branch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from paramtool.files.sizes import byte_size
from paramtool.records.parameter import STATISTICS_COLUMNS, ParameterRow
from paramtool.records.report import Report
from paramtool.render.cells import for_people
from paramtool.render.names import shown
from paramtool.render.numbering import first_of, parts_of
from paramtool.render.printed import value_lines
from paramtool.render.screen import Screen
from paramtool.render.summary import counted, noun_of, summary


@dataclass
class _Branch:
    below: dict[tuple[str, str], _Branch] = field(default_factory=dict)
    """By the part of the name, and by the kind of what ends there: a folded module has two."""
    row: ParameterRow | None = None
    numel: int = 0
    nbytes: int = 0


def tree(report: Report[Any, Any], screen: Screen) -> Iterator[str]:
    """Yield the lines of the tree and the totals; a tied tensor counts at its first name."""
    root = _Branch()
    for row in report.rows:
        _grow(root, row)
    yield f"{shown(report.modules.get('', report.model or ''))}{_subtotal(root, report)}\n"
    yield from _lines(root, "", "", report, screen)
    yield "\n"
    yield from value_lines(report)
    yield from (f"{line}\n" for line in summary(report))


def _grow(root: _Branch, row: ParameterRow) -> None:
    branch = root
    path = [root]
    parts = parts_of(row.name)
    for index, part in enumerate(parts, 1):
        branch = branch.below.setdefault((part, row.kind if index == len(parts) else ""), _Branch())
        path.append(branch)
    branch.row = row
    if row.counted and row.is_parameter:
        for each in path:
            each.numel += row.numel or 0
            each.nbytes += row.nbytes or 0


def _lines(
    branch: _Branch, indent: str, path: str, report: Report[Any, Any], screen: Screen
) -> Iterator[str]:
    fork, last, pipe = ("├── ", "└── ", "│   ") if screen.unicode else ("|-- ", "`-- ", "|   ")
    remaining = len(branch.below)
    for (name, _), inner in branch.below.items():
        remaining -= 1
        yield f"{indent}{fork if remaining else last}{_label(name, inner, path + name, report, screen)}\n"
        deeper = indent + (pipe if remaining else "    ")
        yield from _lines(inner, deeper, f"{path}{name}.", report, screen)


def _label(name: str, branch: _Branch, path: str, report: Report[Any, Any], screen: Screen) -> str:
    row = branch.row
    if row is None:
        kind = report.modules.get(first_of(path))
        return f"{shown(name)}{f': {shown(kind)}' if kind else ''}{_subtotal(branch, report)}"
    parts = [shown(name)]
    if row.shape is not None or row.count == 1:
        parts.append(for_people(row, "shape"))
    else:
        noun = "parameter" if row.kind == "parameter" else "element"
        parts.append(
            f"{shown(row.type or 'module')} of {counted(row.count, 'name')}, {counted(row.numel or 0, noun)}"
        )
    parts.append(row.dtype or "")
    if not row.is_parameter:
        parts.append("buffer" if row.kind == "buffer" else "plain tensor")
    elif row.requires_grad is False:
        parts.append("frozen")
    if row.count > 1 and row.shape is not None:
        parts.append(for_people(row, "count", screen.unicode))
    if row.tied_to:
        parts.append(f"= {shown(row.tied_to)}")
    if row.mean is not None or row.norm is not None:
        keys = [key for key in STATISTICS_COLUMNS if getattr(row, key) is not None]
        numbers = (f"{key} {for_people(row, key, screen.unicode)}" for key in keys)
        parts.append(f"({', '.join(numbers)})")
    return "  ".join(part for part in parts if part)


def _subtotal(branch: _Branch, report: Report[Any, Any]) -> str:
    return f"  ({counted(branch.numel, noun_of(report.totals))}, {byte_size(branch.nbytes)})"
