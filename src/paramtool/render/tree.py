"""The records as a tree along their names, leaf by leaf, with something said of all below each branch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from paramtool.records.difference import DifferenceTotals
from paramtool.records.report import Report
from paramtool.render.breaks import wrapped
from paramtool.render.cells import for_text
from paramtool.render.elements import value_lines
from paramtool.render.leaves import leaf, path_of
from paramtool.render.names import first_of
from paramtool.render.screen import Screen, width_of
from paramtool.render.subtotals import below
from paramtool.render.summary import summary
from paramtool.render.tones import Toned, painted, plain, toned


@dataclass
class _Branch:
    inner: dict[str, _Branch] = field(default_factory=dict)
    own: list[Any] = field(default_factory=list)
    """The rows of what ends here: of a folded module, one for its parameters and one for its buffers."""
    rows: list[Any] = field(default_factory=list)
    """These, and all of the branches below."""


def tree(report: Report[Any, Any], screen: Screen) -> Iterator[str]:
    """Yield the lines of the tree, the values if they were asked for, and the totals.

    On a terminal that is too narrow for a leaf, it goes on below itself, and nothing is cut.
    """
    root = _Branch()
    for row in report.rows:
        _grow(root, row)
    yield f"{_root_name(report, screen)}  ({below(report.totals, root.rows, True)})\n"
    yield from _lines(root, "", "", report, screen)
    yield "\n"
    yield from value_lines(report)
    for line in summary(report):
        yield from (f"{each}\n" for each in ([line] if screen.width is None else wrapped(line, screen.width)))


def _grow(root: _Branch, row: Any) -> None:
    branch = root
    branch.rows.append(row)
    for part in path_of(row):
        branch = branch.inner.setdefault(part, _Branch())
        branch.rows.append(row)
    branch.own.append(row)


def _root_name(report: Report[Any, Any], screen: Screen) -> str:
    totals = report.totals
    if isinstance(totals, DifferenceTotals):
        arrow = "→" if screen.unicode else "->"
        return f"{for_text(totals.a, screen.unicode)} {arrow} {for_text(totals.b, screen.unicode)}"
    return for_text(report.modules.get("") or report.model or report.command, screen.unicode)


def _lines(
    branch: _Branch, indent: str, path: str, report: Report[Any, Any], screen: Screen
) -> Iterator[str]:
    fork, last, pipe = ("├── ", "└── ", "│   ") if screen.unicode else ("|-- ", "`-- ", "|   ")
    remaining = len(branch.inner)
    for name, inner in branch.inner.items():
        remaining -= 1
        deeper = indent + (pipe if remaining else "    ")
        parts = _label(name, inner, path + name, report, screen)
        first, *more = _wrapped(parts, screen, width_of(deeper))
        yield toned(indent + (fork if remaining else last), "quiet", screen.color) + f"{first}\n"
        below_it = toned(deeper + (pipe if inner.inner else "    "), "quiet", screen.color)
        yield from (f"{below_it}{line}\n" for line in more)
        yield from _lines(inner, deeper, f"{path}{name}.", report, screen)


def _label(name: str, branch: _Branch, path: str, report: Report[Any, Any], screen: Screen) -> list[str]:
    """Return the parts of a line: of the rows that end here, or else of the module that this is."""
    title = for_text(name, screen.unicode)
    if not branch.own:
        kind = report.modules.get(first_of(path))
        subtotal = below(report.totals, branch.rows, False)
        if kind:
            title += f": {painted(Toned(for_text(kind, screen.unicode), 'accent'), screen.color)}"
        return [title, Toned(f"({subtotal})", "quiet")] if subtotal else [title]
    parts = [title]
    for number, row in enumerate(branch.own):
        if number:
            last = parts[-1]
            parts[-1] = Toned(f"{last};", last.tone) if isinstance(last, Toned) else f"{last};"
        parts += [part for part in leaf(row, screen.unicode) if part]
    return parts


def _wrapped(parts: Sequence[str], screen: Screen, indent: int) -> list[str]:
    """Return `parts` on as many lines as the screen needs, of which those after the first stand deeper."""
    lines, used = [""], 0
    for part in parts:
        width = width_of(plain(part))
        room = None if screen.width is None else screen.width - indent - (4 if len(lines) > 1 else 0)
        if used and room is not None and used + 2 + width > room:
            lines.append("")
            used = 0
        lines[-1] += ("  " if used else "") + painted(part, screen.color)
        used += width + (2 if used else 0)
    return lines
