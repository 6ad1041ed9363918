"""The modules of a model as a tree that folds, with a bar for the part that each has of the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from paramtool.quantities import byte_size, counted
from paramtool.records.parameter import ParameterRow
from paramtool.render.cells import for_people
from paramtool.render.html.budget import MOST_BELOW, MOST_BRANCHES, short
from paramtool.render.html.drawings import bar
from paramtool.render.html.markup import EMPTY, Markup, tag, text, together
from paramtool.render.names import first_of, parts_of

DEEPEST = 24
"""Levels that are drawn; anything deeper is one name."""

OPEN = 24
"""Lines that a tree shows before anything is unfolded."""


@dataclass
class Branch:
    """A module, or a tensor if it has a `row`; what is added up is of all below, each tensor once."""

    below: dict[str, Branch] = field(default_factory=dict)
    row: ParameterRow | None = None
    numel: int = 0
    nbytes: int = 0
    tensors: int = 0
    is_open: bool = False
    drawn: int = 0
    """How many of `below` are drawn."""


def module_tree(
    rows: Sequence[ParameterRow], modules: Mapping[str, str], by_bytes: bool, others: int = 0
) -> Markup:
    """Return the tree of some rows.

    Args:
        rows: of parameters and buffers, identical numbered blocks as one.
        modules: class names by module path.
        by_bytes: whether the bars are of bytes and not of elements.
        others: bytes or elements of tensors that are left out, and belong to the whole.
    """
    root = Branch()
    for row in rows:
        _grow(root, row)
    _plan(root)
    whole = (root.nbytes if by_bytes else root.numel) + others or 1
    return tag("ul", *_lines(root, "", modules, whole, by_bytes), kind="tree")


def _grow(root: Branch, row: ParameterRow) -> None:
    """Add a tensor to all modules that it is in."""
    parts = parts_of(row.name)
    if len(parts) > DEEPEST:
        parts = [*parts[: DEEPEST - 1], ".".join(parts[DEEPEST - 1 :])]
    numel, nbytes = (row.numel or 0, row.nbytes or 0) if row.counted else (0, 0)
    branch = root
    for part in (None, *parts):
        if part is not None:
            branch = branch.below.get(part) or branch.below.setdefault(part, Branch())
        branch.numel += numel
        branch.nbytes += nbytes
        branch.tensors += row.count
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


def _lines(branch: Branch, path: str, modules: Mapping[str, str], whole: int, by_bytes: bool) -> list[Markup]:
    lines = []
    for part, inner in list(branch.below.items())[: branch.drawn]:
        name = f"{path}{part}"
        line = _line(part, inner, modules.get(first_of(name)), whole, by_bytes)
        if inner.below and inner.drawn:
            deeper = tag("ul", *_lines(inner, f"{name}.", modules, whole, by_bytes))
            line = tag("details", tag("summary", line), deeper, open=inner.is_open)
        lines.append(tag("li", line))
    rest = list(branch.below.values())[branch.drawn :]
    if rest:
        numel, nbytes = sum(each.numel for each in rest), sum(each.nbytes for each in rest)
        said = f"{len(rest):,} more: {counted(numel, 'element')}, {byte_size(nbytes)}"
        lines.append(tag("li", tag("span", tag("span", text(said), kind="what"), kind="line t-quiet")))
    return lines


def _line(part: str, branch: Branch, kind: str | None, whole: int, by_bytes: bool) -> Markup:
    size = branch.nbytes if by_bytes else branch.numel
    said = byte_size(branch.nbytes) if by_bytes else f"{branch.numel:,}"
    share = size / whole
    percent = "" if not size else "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
    return tag(
        "span",
        tag("span", tag("b", text(short(part) or "(empty)"), kind="m"), *_facts(branch, kind), kind="what"),
        tag("span", text(said) if size else EMPTY, kind="n"),
        tag("span", text(percent), kind="n percent"),
        bar(share) if size else tag("span", kind="bar"),
        kind="line",
    )


def _facts(branch: Branch, kind: str | None) -> list[Markup]:
    """Return what is said after a name: the class of a module, the shape of a tensor."""
    row = branch.row
    if row is None or branch.below:
        found = [tag("span", text(short(kind)), kind="t-accent")] if kind else []
        if branch.below and branch.drawn == 0:
            found.append(tag("span", text(counted(branch.tensors, "tensor")), kind="t-quiet"))
        return [together([Markup(" "), each]) for each in found]
    texts = [
        (for_people(row, "shape"), ""),
        (for_people(row, "dtype"), "quiet"),
        (for_people(row, "count"), "accent"),
        ("" if row.is_parameter else row.kind, "quiet"),
        ("frozen" if row.requires_grad is False and row.is_parameter else "", "notable"),
        (f"= {row.tied_to}" if row.tied_to is not None else "", "link"),
    ]
    return [
        together([Markup(" "), tag("span", text(short(each)), kind=f"t-{tone}" if tone else "")])
        for each, tone in texts
        if each
    ]
