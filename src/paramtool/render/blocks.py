"""Fold identical numbered blocks: ``h.0.weight`` … ``h.11.weight`` to ``h.{0..11}.weight``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from paramtool.name_parts import MOST_PARTS
from paramtool.records.constructor import changed
from paramtool.render.fold import Identity, identity_of, merged
from paramtool.render.names import FEWEST, NUMBERED, runs, span


class Named(Protocol):
    """A record about one name, or about `count` of them."""

    @property
    def name(self) -> str:
        """The name, dots and all."""

    @property
    def count(self) -> int:
        """How many names this is about."""


Row = TypeVar("Row", bound=Named)

_NUMBERED_MODULE = re.compile(r"[0-9]\.")


_NOTHING: dict[str, _Module] = {}
"""What is below a tensor, of which there are many."""


class _Module:
    """A part of a name: the parts below it, and the row of the name that ends here."""

    below: dict[str, _Module] = _NOTHING
    row: Any = None
    index = 0

    def at(self, parts: Sequence[str]) -> _Module:
        """Return the module of a path below, made where it is not there."""
        module = self
        for part in parts:
            module = module.below.get(part) or module.new(part)
        return module

    def new(self, part: str) -> _Module:
        """Add a module below."""
        if self.below is _NOTHING:
            self.below = {}
        made = self.below[part] = _Module()
        return made


class _Line(NamedTuple):
    """A row, folded or not, its name relative to a module, and where its first name stood."""

    name: tuple[str, ...]
    row: Any
    place: int


def fold_blocks(rows: Iterable[Row], *, are_modules: bool = False) -> list[Row]:
    """Return `rows` with each run of identical numbered modules as one.

    Blocks are identical when their names agree and what `identity_of` their rows says; what becomes of
    these `merged` says.  A row stands where its first name stood.

    Args:
        rows: in any order.
        are_modules: whether every name is that of a module, and not of a tensor in one.
    """
    rows = list(rows)
    if not rows:
        return []
    identity = identity_of(type(rows[0]))
    modules = {
        row.name for row in rows if are_modules or row.count > 1
    }  # of one kind a module may have a single tensor
    if not modules and _is_without_numbers(rows):
        return rows
    lines = [line for root in _trees(rows) for line in _lines(root, "", modules, identity)]
    lines.sort(key=attrgetter("place"))
    return [changed(line.row, name=".".join(line.name)) if line.row.count > 1 else line.row for line in lines]


def _is_without_numbers(rows: Sequence[Any]) -> bool:
    """Return whether no name has a module with a number, and none of a kind appears twice."""
    if any(map(_NUMBERED_MODULE.search, {row.name for row in rows})):
        return False
    return len({(getattr(row, "kind", ""), row.name) for row in rows}) == len(rows)


def _trees(rows: Iterable[Any]) -> Iterable[_Module]:
    """Return the names of each kind of rows as a tree."""
    roots: dict[str, _Module] = {}
    holders: dict[str, dict[str, _Module]] = {}
    for index, row in enumerate(rows):
        kind, name = getattr(row, "kind", ""), row.name
        root = roots.get(kind)
        if root is None:
            root = roots[kind] = _Module()
            holders[kind] = {}
        holder, dot, last = name.rpartition(".")
        if not dot:
            module = root
        elif name.count(".") > MOST_PARTS:
            *parts, last = name.split(".", MOST_PARTS)
            module = root.at(parts)
        else:
            module = holders[kind].get(holder) or _holder(holder, root, holders[kind])
        below = module.below
        leaf = below.get(last)
        if leaf is None:
            if below is _NOTHING:
                below = module.below = {}
            leaf = below[last] = _Module()
        leaf.row, leaf.index = row, index
    return roots.values()


def _holder(path: str, root: _Module, known: dict[str, _Module]) -> _Module:
    """Return the module of a path; many names are in one module, and many modules in one other."""
    around, dot, last = path.rpartition(".")
    module = (known.get(around) or _holder(around, root, known)) if dot else root
    found = known[path] = module.below.get(last) or module.new(last)
    return found


def _lines(module: _Module, path: str, modules: Collection[str], identity: Identity) -> list[_Line]:
    """Return the lines below `module`, whose own name with a dot is `path`; `modules` are folded rows."""
    lines = [] if module.row is None else [_Line((), module.row, module.index)]
    blocks: dict[object, list[tuple[int, str, list[_Line]]]] = {}
    for part, inner in module.below.items():
        if not (inner.below or modules):  # a tensor, as most of them are
            lines.append(_Line((part,), inner.row, inner.index))
            continue
        inner_lines = _lines(inner, f"{path}{part}.", modules, identity)
        numbered = NUMBERED.fullmatch(part) if part[-1:].isdigit() else None
        is_module = inner.below if inner.row is None else f"{path}{part}" in modules
        if numbered and is_module:
            alike = [
                (line.name, line.row.count, identity(line.row, f"{path}{part}.")) for line in inner_lines
            ]
            key = (numbered[1], tuple(alike))
            blocks.setdefault(key, []).append((int(numbered[2]), part, inner_lines))
        else:
            lines.extend(_below(part, inner_lines))
    for same in blocks.values():
        for run in runs(sorted(same, key=lambda block: block[0])):
            lines.extend(_merge(run, path) if len(run) >= FEWEST else _unmerged(run))
    return lines


def _unmerged(run: list[tuple[int, str, list[_Line]]]) -> list[_Line]:
    return [line for _, part, lines in run for line in _below(part, lines)]


def _below(part: str, lines: list[_Line]) -> list[_Line]:
    return [_Line((part, *line.name), line.row, line.place) for line in lines]


def _merge(run: list[tuple[int, str, list[_Line]]], path: str) -> list[_Line]:
    (first, part, _), (last, _, _) = run[0], run[-1]
    prefix = part[: len(part) - len(str(first))]
    name = f"{prefix}{span(first, last)}"
    parts = list(zip(*(lines for _, _, lines in run), strict=True))
    return [
        _Line(
            (name, *same[0].name),
            merged([line.row for line in same], f"{path}{part}.", f"{path}{name}."),
            min(line.place for line in same),
        )
        for same in parts
    ]
