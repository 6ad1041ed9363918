"""Fold identical numbered blocks: ``h.0.weight`` … ``h.11.weight`` to ``h.{0..11}.weight``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from paramtool.render.folding import identity, merged

_DOT = re.compile(r"(?<!\.)\.(?!\.)")  # torch refuses empty parts, so ".." is only ever ours

FEWEST = 3
"""Blocks that are worth folding."""

_NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]{0,8})")


@dataclass
class _Module:
    """A part of a name: the parts below it, and the row of the name that ends here."""

    below: dict[str, _Module] = field(default_factory=dict)
    row: Any = None
    index: int = 0


@dataclass(frozen=True)
class _Line:
    """A row, folded or not, its name relative to a module, and where its first name stood."""

    name: tuple[str, ...]
    row: Any
    index: int


def parts_of(name: str) -> list[str]:
    """Split a name, folded or not, into its parts: ``h``, ``{0..11}``, ``weight``."""
    return _DOT.split(name)


def first_of(name: str) -> str:
    """Return the first name that a folded one stands for: ``h.{0..11}.attn`` to ``h.0.attn``."""
    return re.sub(r"\{([0-9]+)\.\.[0-9]+\}", r"\1", name)


def fold_blocks(rows: Iterable[Any]) -> list[Any]:
    """Return `rows` with each run of identical numbered modules as one.

    Blocks are identical when the names in them agree, and the `identity` of their rows; the row that
    stands for all is `merged`.  It stands where its first name stood.

    Args:
        rows: records of one type, with a `name` and a `count`.
    """
    roots: dict[str, _Module] = {}
    for index, row in enumerate(rows):
        module = roots.setdefault(getattr(row, "kind", ""), _Module())
        for part in row.name.split("."):
            module = module.below.setdefault(part, _Module())
        module.row, module.index = row, index
    lines = [line for root in roots.values() for line in _lines(root, "")]
    lines.sort(key=lambda line: line.index)
    return [replace(line.row, name=".".join(line.name)) if line.row.count > 1 else line.row for line in lines]


def _lines(module: _Module, path: str) -> list[_Line]:
    """Return the lines below `module`, whose own name with a dot is `path`."""
    lines = [] if module.row is None else [_Line((), module.row, module.index)]
    blocks: dict[object, list[tuple[int, str, list[_Line]]]] = {}
    for part, inner in module.below.items():
        inner_lines = _lines(inner, f"{path}{part}.")
        numbered = _NUMBERED.fullmatch(part)
        is_module = inner.below if inner.row is None else inner.row.count > 1
        if numbered and is_module:
            key = (numbered[1], _identity(inner_lines, f"{path}{part}."))
            blocks.setdefault(key, []).append((int(numbered[2]), part, inner_lines))
        else:
            lines.extend(_below(part, inner_lines))
    for same in blocks.values():
        for run in _runs(sorted(same, key=lambda block: block[0])):
            lines.extend(_merge(run, path) if len(run) >= FEWEST else _unmerged(run))
    return lines


def _identity(lines: list[_Line], path: str) -> tuple[object, ...]:
    return tuple((line.name, *identity(line.row, path)) for line in lines)


def _runs(blocks: list[tuple[int, str, list[_Line]]]) -> list[list[tuple[int, str, list[_Line]]]]:
    """Split blocks in the order of their numbers into runs without a gap."""
    runs = [[blocks[0]]]
    for block in blocks[1:]:
        if block[0] == runs[-1][-1][0] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _unmerged(run: list[tuple[int, str, list[_Line]]]) -> list[_Line]:
    return [line for _, part, lines in run for line in _below(part, lines)]


def _below(part: str, lines: list[_Line]) -> list[_Line]:
    return [_Line((part, *line.name), line.row, line.index) for line in lines]


def _merge(run: list[tuple[int, str, list[_Line]]], path: str) -> list[_Line]:
    (first, part, _), (last, _, _) = run[0], run[-1]
    prefix = part[: len(part) - len(str(first))]
    name = f"{prefix}{{{first}..{last}}}"
    parts = list(zip(*(lines for _, _, lines in run), strict=True))
    return [
        _Line(
            (name, *same[0].name),
            merged([line.row for line in same], f"{path}{part}.", f"{path}{name}."),
            min(line.index for line in same),
        )
        for same in parts
    ]
