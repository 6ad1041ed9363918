"""The modules of a model as a tree that folds, with a bar for the part that each has of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from paramtool.quantities import counted
from paramtool.render.html.budget import MOST_BELOW, MOST_BRANCHES, short
from paramtool.render.html.drawings import bar
from paramtool.render.html.markup import EMPTY, Markup, line, tag, text, together
from paramtool.render.names import first_of, parts_of

DEEPEST = 24
"""Levels that are drawn; anything deeper is one name."""

OPEN = 24
"""Lines that a tree shows before anything is unfolded."""


class Measure(NamedTuple):
    """What the bars of a tree are of.

    Attributes:
        size: what a row adds to all modules that it is in.
        written: a size as text, beside its bar.
        facts: what is said after the name of a row, each text with its tone.
    """

    size: Callable[[Any], int]
    written: Callable[[int], str]
    facts: Callable[[Any], Iterator[tuple[str, str]]]


@dataclass
class Branch:
    """A module, or a tensor if it has a `row`; `size` and `rows` are of all below."""

    below: dict[str, Branch] = field(default_factory=dict)
    row: Any = None
    size: int = 0
    rows: int = 0
    is_open: bool = False
    drawn: int = 0
    """How many of `below` are drawn."""


def module_tree(
    rows: Sequence[Any], modules: Mapping[str, str], measure: Measure, noun: str, others: int = 0
) -> Markup:
    """Return the tree of some rows.

    Args:
        rows: with names, identical numbered blocks as one.
        modules: class names by module path.
        measure: what the bars are of.
        noun: what a row is about.
        others: the size of what is left out, and belongs to the whole.
    """
    root = Branch()
    for row in rows:
        _grow(root, row, measure.size(row))
    _plan(root)
    return tag("ul", *_Tree(modules, measure, noun, root.size + others or 1).lines(root, ""), kind="tree")


def _grow(root: Branch, row: Any, size: int) -> None:
    """Add a row to all modules that it is in."""
    parts = parts_of(row.name)
    if len(parts) > DEEPEST:
        parts = [*parts[: DEEPEST - 1], ".".join(parts[DEEPEST - 1 :])]
    branch = root
    for part in (None, *parts):
        if part is not None:
            branch = branch.below.get(part) or branch.below.setdefault(part, Branch())
        branch.size += size
        branch.rows += row.count
    branch.row = branch.row or row


def _plan(root: Branch) -> None:
    """Say what is drawn, level after level, and what is open at first."""
    room, shown = MOST_BRANCHES, OPEN
    level = [root]
    while level:
        following: list[Branch] = []
        lines = sum(len(each.below) for each in level)
        is_open = lines <= shown
        shown -= lines
        for branch in level:
            branch.is_open = is_open
            branch.drawn = min(len(branch.below), MOST_BELOW, room)
            room -= branch.drawn
            following += list(branch.below.values())[: branch.drawn]
        level = following


class _Tree:
    """Writes the lines of a tree.

    Args:
        modules, measure, noun: see `module_tree`.
        whole: the size that a bar of the whole length has.
    """

    def __init__(self, modules: Mapping[str, str], measure: Measure, noun: str, whole: int) -> None:
        self._modules, self._measure, self._noun, self._whole = modules, measure, noun, whole

    def lines(self, branch: Branch, path: str) -> list[Markup]:
        """Return what is drawn below a branch, whose own name with a dot is `path`."""
        lines = []
        for part, inner in list(branch.below.items())[: branch.drawn]:
            name = f"{path}{part}"
            drawn = self._line(part, inner, self._modules.get(first_of(name)))
            if inner.below and inner.drawn:
                deeper = tag("ul", *self.lines(inner, f"{name}."))
                drawn = tag("details", tag("summary", drawn), deeper, open=inner.is_open)
            lines.append(tag("li", drawn))
        rest = list(branch.below.values())[branch.drawn :]
        if rest:
            said = tag("span", text(f"{len(rest):,} more"), kind="what t-quiet")
            lines.append(tag("li", self._with_size(said, sum(each.size for each in rest))))
        return lines

    def _line(self, part: str, branch: Branch, kind: str | None) -> Markup:
        name = tag("b", text(short(part) or "(empty)"), kind="m")
        return self._with_size(tag("span", name, *self._facts(branch, kind), kind="what"), branch.size)

    def _with_size(self, what: Markup, size: int) -> Markup:
        share = size / self._whole
        percent = "" if not size else "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
        written = tag("span", text(self._measure.written(size)) if size else EMPTY, kind="n")
        drawn = bar(share) if size else tag("span", kind="bar")
        return line(what, written, tag("span", text(percent), kind="n percent"), drawn)

    def _facts(self, branch: Branch, kind: str | None) -> list[Markup]:
        """Return what is said after a name: the class of a module, or what there is to say of a row."""
        if branch.row is not None and not branch.below:
            said = list(self._measure.facts(branch.row))
        else:
            said = [(kind or "", "accent")]
            if branch.below and branch.drawn == 0:
                said.append((counted(branch.rows, self._noun), "quiet"))
        return [
            together([Markup(" "), tag("span", text(short(each)), kind=f"t-{tone}" if tone else "")])
            for each, tone in said
            if each
        ]
