"""Fold the same difference in numbered blocks into one line: ``h.{0..79}.mlp.weight``.

Unlike the blocks of a model, which fold whole, each difference folds by itself: what else has changed
in a layer does not tear the line of all layers apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from paramtool.records.constructor import changed
from paramtool.records.difference import NAMED, Aspect, DifferenceRow
from paramtool.render.fold import pooled
from paramtool.render.names import FEWEST, NUMBERED, parts_of, runs, span

DEEPEST = 64
"""Parts of a name, from its end, in which numbers are looked for."""


class _Around(NamedTuple):
    """A name with a number in it: the text before and after the number."""

    before: str
    after: str


class _Line(NamedTuple):
    """A row, folded or not, and where its first difference stood."""

    row: DifferenceRow
    place: int


def fold_differences(rows: Iterable[DifferenceRow]) -> list[DifferenceRow]:
    """Return `rows` with renamed modules, and runs of three or more numbers of a module, as one each.

    A folded row counts its differences and adds up `differing`; of the other measures it has the worst.
    It stands where its first difference stood.
    """
    lines = _fold_modules(rows)
    deepest = max((len(parts_of(line.row.name)) for line in lines), default=0)
    for position in range(2, min(deepest, DEEPEST) + 1):
        lines = _fold_at(position, lines)
    return [line.row for line in sorted(lines, key=lambda line: line.place)]


def _fold_modules(rows: Iterable[DifferenceRow]) -> list[_Line]:
    """Fold a difference that applies to a whole module: ``h.*`` was renamed to ``layers.*``."""
    groups: dict[Hashable, list[int]] = {}
    known = list(rows)
    for index, row in enumerate(known):
        module = row.module or index
        key = module if row.change == "renamed" else (row.change, row.was, row.now, module)
        if key in groups:
            groups[key].append(index)
        else:
            groups[key] = [index]
    return [_whole([known[index] for index in group], group[0]) for group in groups.values()]


def _whole(rows: Sequence[DifferenceRow], index: int) -> _Line:
    row = rows[0]
    if len(rows) == 1:
        return _Line(row, index)
    was, now = row.module or ("", "")
    names = {
        "name": f"{was}.*" if was else "*",
        "now": row.now if row.change != "renamed" else f"{now}.*" if now else "*",
    }
    return _Line(changed(row, **(pooled(rows) | names)), index)


def _fold_at(position: int, lines: Sequence[_Line]) -> list[_Line]:
    """Fold over the part at `position`, counted from the end of the name."""
    groups: dict[Hashable, list[tuple[int, _Line]]] = {}
    folded: list[_Line] = []
    for line in lines:
        number = _number(parts_of(line.row.name), -position)
        if number is None:
            folded.append(line)
        else:
            row = line.row
            key = (row.change, row.because, row.count, *_fields(row, position, number).values())
            groups.setdefault(key, []).append((number, line))
    for group in groups.values():
        for run in runs(sorted(group, key=lambda each: (each[0], each[1].place))):
            if len(run) < FEWEST:
                folded.extend(line for _, line in run)
            else:
                folded.append(_merged(run, position))
    return folded


def _merged(run: Sequence[tuple[int, _Line]], position: int) -> _Line:
    (first, line), (last, _) = run[0], run[-1]
    rows = [each.row for _, each in run]
    numbers = span(first, last)
    names: dict[str, Any] = {
        key: f"{value.before}{numbers}{value.after}"
        for key, value in _fields(line.row, position, first).items()
        if isinstance(value, _Around)
    }
    return _Line(replace(rows[0], **(pooled(rows) | names)), min(each.place for _, each in run))


def _fields(row: DifferenceRow, position: int, number: int) -> dict[str, _Around | Aspect]:
    """Return what must agree in a run, with `number` taken out of the names.

    Args:
        row: whose name has the number.
        position: where, counted from the end of its parts.
        number: of the block.
    """
    parts = parts_of(row.name)
    fields: dict[str, _Around | Aspect] = {"name": _around(parts, len(parts) - position)}
    for key in ("was", "now", "tied_to"):
        value = getattr(row, key)
        is_name = key == "tied_to" or key in NAMED.get(row.change, ())
        fields[key] = _elsewhere(value, parts, position, number) if is_name and value else value
    return fields


def _elsewhere(name: str, own: Sequence[str], position: int, number: int) -> _Around | str:
    """Take the number out of another name, where it stands at the same place or stands but once."""
    parts = parts_of(name)
    places = [index for index in range(len(parts)) if _number(parts, index) == number]
    for place in (len(parts) - position, len(own) - position):
        if place in places:
            return _around(parts, place)
    return _around(parts, places[0]) if len(places) == 1 else name


def _number(parts: Sequence[str], index: int) -> int | None:
    if not -len(parts) <= index < len(parts):
        return None
    found = NUMBERED.fullmatch(parts[index])
    return int(found[2]) if found else None


def _around(parts: Sequence[str], index: int) -> _Around:
    found = NUMBERED.fullmatch(parts[index])
    assert found is not None
    before = "".join(f"{part}." for part in parts[:index])
    return _Around(before + found[1], "".join(f".{part}" for part in parts[index + 1 :]))
