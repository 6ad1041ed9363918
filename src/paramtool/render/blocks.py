"""Fold identical numbered blocks: ``h.0.weight`` … ``h.11.weight`` to ``h.{0..11}.weight``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from paramtool.records.parameter import ParameterRow

_DOT = re.compile(r"(?<!\.)\.(?!\.)")  # torch refuses empty parts, so ".." is only ever ours

FEWEST = 3
"""Blocks that are worth folding."""

_ALIKE = (
    "type", "shape", "numel", "nbytes", "dtype", "requires_grad", "persistent", "counted", "count",
    "sharing", "start", "stop", "note",
)  # fmt: skip
"""What agrees in identical blocks; `numel` is all that is known of a module that is folded to a depth."""

_NAMES = ("tied_to", "module")
"""What agrees where it is the same part of each block."""

_SUMS = ("count", "numel", "nbytes")

_NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]{0,8})")


@dataclass
class _Module:
    """A part of a name: the parts below it, and the row of the name that ends here."""

    below: dict[str, _Module] = field(default_factory=dict)
    row: ParameterRow | None = None
    index: int = 0


@dataclass(frozen=True)
class _Line:
    """A row, folded or not, its name relative to a module, and where its first name stood."""

    name: tuple[str, ...]
    row: ParameterRow
    index: int


def parts_of(name: str) -> list[str]:
    """Split a name, folded or not, into its parts: ``h``, ``{0..11}``, ``weight``."""
    return _DOT.split(name)


def first_of(name: str) -> str:
    """Return the first name that a folded one stands for: ``h.{0..11}.attn`` to ``h.0.attn``."""
    return re.sub(r"\{([0-9]+)\.\.[0-9]+\}", r"\1", name)


def fold_blocks(rows: Iterable[ParameterRow]) -> list[ParameterRow]:
    """Return `rows` with each run of identical numbered modules as one.

    Blocks are identical when their names, types, shapes, dtypes, ``requires_grad`` and ties agree.
    A folded row counts its names in `count` and adds up `numel` and `nbytes`; `shape` is of one.
    A row stands where its first name stood.
    """
    roots: dict[str, _Module] = {}
    for index, row in enumerate(rows):
        module = roots.setdefault(row.kind, _Module())
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
    return tuple(
        (
            line.name,
            *(getattr(line.row, each, None) for each in _ALIKE),
            *(_relative(getattr(line.row, each, None), path) for each in _NAMES),
        )
        for line in lines
    )


def _relative(tied_to: str | None, path: str) -> tuple[bool, str | None]:
    inside = tied_to is not None and tied_to.startswith(path)
    return (inside, tied_to[len(path) :] if inside and tied_to else tied_to)


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
    merged = []
    for same in zip(*(lines for _, _, lines in run), strict=True):
        rows = [line.row for line in same]
        changed: dict[str, Any] = {
            key: _moved(getattr(rows[0], key), f"{path}{part}.", f"{path}{name}.")
            for key in _NAMES
            if hasattr(rows[0], key)
        }
        for key in _SUMS:
            if hasattr(rows[0], key):
                changed[key] = _sum(getattr(row, key) for row in rows)
        if hasattr(rows[0], "group"):
            changed["group"] = _range([row.group for row in rows])
        folded = replace(rows[0], **changed)
        merged.append(_Line((name, *same[0].name), folded, min(line.index for line in same)))
    return merged


def _moved(name: str | None, path: str, to: str) -> str | None:
    """Return a name inside the module of `path` as one inside that of `to`."""
    return f"{to}{name[len(path) :]}" if name is not None and name.startswith(path) else name


def _range(groups: list[int | str]) -> int | str:
    """Return the first and the last of some numbers, which may be such ranges themselves."""
    first, last = str(groups[0]).partition("..")[0], str(groups[-1]).rpartition("..")[2]
    return groups[0] if first == last else f"{first}..{last}"


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)
