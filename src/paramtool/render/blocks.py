"""Fold identical numbered blocks: ``h.0.weight`` … ``h.11.weight`` to ``h.{0..11}.weight``."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from paramtool.name_parts import MOST_PARTS
from paramtool.records.constructor import changed
from paramtool.render.fold import Identity, Signature, identity_of, merged, repeated, signatures_of
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
    first = last = 0
    """The places of the first and the last of the rows at or below it, once it is signed."""
    signature: int | None = None
    """Equal for two modules only if what is below folds alike; None where it takes a look at each."""

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


def fold_blocks(rows: Iterable[Row]) -> list[Row]:
    """Return `rows` with each run of identical numbered modules as one.

    Blocks are identical when their names agree and what `identity_of` their rows says; what becomes of
    these `merged` says.  A row stands where its first name stood.
    """
    rows = list(rows)
    if not rows:
        return []
    identity = identity_of(type(rows[0]))
    modules = {row.name for row in rows if row.count > 1}  # of one kind a module may have a single tensor
    if not modules and _is_without_numbers(rows):
        return rows
    roots = _trees(rows)
    signatures = signatures_of(type(rows[0]))
    if signatures is not None and not modules:
        for root in roots:
            _sign(root, signatures, {})
    lines = [line for root in roots for line in _Walk(modules, identity).lines(root, "")]
    lines.sort(key=attrgetter("place"))
    return [changed(line.row, name=".".join(line.name)) if line.row.count > 1 else line.row for line in lines]


def _is_without_numbers(rows: Sequence[Any]) -> bool:
    """Return whether no name has a module with a number, and none of a kind appears twice."""
    if any(map(_NUMBERED_MODULE.search, {row.name for row in rows})):
        return False
    return len({(getattr(row, "kind", ""), row.name) for row in rows}) == len(rows)


def _trees(rows: Iterable[Any]) -> Collection[_Module]:
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


def _sign(module: _Module, signature: Signature, known: dict[object, int]) -> None:
    """Give a module and those below it their signatures and places; the order of what is below counts."""
    first, last = sys.maxsize, -1
    inside: list[object] = []
    is_certain = module.row is None
    for part, inner in module.below.items():
        if inner.below:
            _sign(inner, signature, known)
            number: object = inner.signature
            is_certain &= number is not None
            first, last = min(first, inner.first), max(last, inner.last)
        else:
            number = signature(inner.row)
            is_certain &= number is not None
            index = inner.index
            first = index if index < first else first
            last = index if index > last else last
        inside.append((part, number))
    module.first, module.last = first, last
    if is_certain:
        module.signature = known.setdefault(tuple(inside), len(known))


class _Block(NamedTuple):
    """A numbered module, and its lines; None where they are like those of an earlier one."""

    number: int
    part: str
    module: _Module
    lines: list[_Line] | None


class _Walk:
    """Writes modules as lines."""

    def __init__(self, modules: Collection[str], identity: Identity) -> None:
        self._modules = modules
        self._identity = identity

    def lines(self, module: _Module, path: str) -> list[_Line]:
        """Return the lines below `module`, whose own name with a dot is `path`."""
        lines = [] if module.row is None else [_Line((), module.row, module.index)]
        blocks: dict[object, list[_Block]] = {}
        keys: dict[tuple[str, int], object] = {}
        for part, inner in module.below.items():
            if not (inner.below or self._modules):  # a tensor, as most of them are
                lines.append(_Line((part,), inner.row, inner.index))
                continue
            numbered = NUMBERED.fullmatch(part) if part[-1:].isdigit() else None
            is_module = inner.below if inner.row is None else f"{path}{part}" in self._modules
            if not (numbered and is_module):
                lines.extend(_below(part, self.lines(inner, f"{path}{part}.")))
                continue
            key = None if inner.signature is None else keys.get((numbered[1], inner.signature))
            own = None
            if key is None:
                own = self.lines(inner, f"{path}{part}.")
                key = (numbered[1], tuple(self._alike(line, f"{path}{part}.") for line in own))
                if inner.signature is not None:
                    keys[numbered[1], inner.signature] = key
            blocks.setdefault(key, []).append(_Block(int(numbered[2]), part, inner, own))
        for same in blocks.values():
            for run in runs(sorted(same, key=attrgetter("number"))):
                lines.extend(self._merge(run, path) if len(run) >= FEWEST else self._unmerged(run, path))
        return lines

    def _alike(self, line: _Line, path: str) -> tuple[object, ...]:
        return line.name, line.row.count, self._identity(line.row, path)

    def _of(self, block: _Block, path: str) -> list[_Line]:
        return self.lines(block.module, f"{path}{block.part}.") if block.lines is None else block.lines

    def _unmerged(self, run: list[_Block], path: str) -> list[_Line]:
        return [line for block in run for line in _below(block.part, self._of(block, path))]

    def _merge(self, run: list[_Block], path: str) -> list[_Line]:
        first = run[0]
        prefix = first.part[: len(first.part) - len(str(first.number))]
        name = f"{prefix}{span(first.number, run[-1].number)}"
        own, to = f"{path}{first.part}.", f"{path}{name}."
        if _is_plain(run):
            return [
                _Line((name, *line.name), repeated(line.row, len(run), own, to), line.place)
                for line in self._of(first, path)
            ]
        parts = zip(*(self._of(block, path) for block in run), strict=True)
        return [
            _Line(
                (name, *same[0].name),
                merged([line.row for line in same], own, to),
                min(line.place for line in same),
            )
            for same in parts
        ]


def _is_plain(run: list[_Block]) -> bool:
    """Return whether the lines of the first block say all: the others have the same, further down."""
    first = run[0].module
    return first.signature is not None and all(
        block.module.signature == first.signature and block.module.first > first.last for block in run[1:]
    )


def _below(part: str, lines: list[_Line]) -> list[_Line]:
    return [_Line((part, *line.name), line.row, line.place) for line in lines]
