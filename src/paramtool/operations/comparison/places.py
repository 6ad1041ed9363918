"""Where a spec writes what a difference is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from paramtool.patterns import compile_pattern, matching
from paramtool.place import Place
from paramtool.records.difference import DifferenceRow, Differences


@dataclass(frozen=True)
class Places:
    """Where a spec writes the parts of its model.

    Attributes:
        written: the places by the paths of modules and the names of tensors.
        ties: by the names of the tied parameters.
        frozen: each pattern that freezes parameters, and its place.
    """

    written: Mapping[str, Place]
    ties: Mapping[str, Place]
    frozen: tuple[tuple[str, Place], ...]

    def around(self, path: str) -> Place | None:
        """Return where the module at `path` is written, or the nearest one around it."""
        return _nearest(path, self.in_file(), {})

    def in_file(self) -> Mapping[str, Place]:
        """Return what is written in the file: an option has no line."""
        return {path: place for path, place in self.written.items() if not place.text.is_option}


def placed(report: Differences, places: Places, *, whole: bool = False) -> Differences:
    """Return `report` with the places of its differences in the spec that is B.

    It is where the tensor is written down, its module, or the nearest module around it; of what is gone
    the module that it was in, where that is still there; of what is tied or frozen that statement.  What
    ``--set`` wrote has no place in a file, and what is around it stands for it.

    Args:
        report: what differs.
        places: those of B.
        whole: point at a module that differs as a whole, and not at what is in it.
    """
    moved = _moved_modules(report.rows)
    written = places.in_file()
    statements = _statements(report.rows, places)
    rows = tuple(
        replace(
            row,
            place=statements.get((row.change, row.name))
            or _nearest(row.module[1] if row.module and whole else row.new_name or row.name, written, moved),
        )
        for row in report.rows
    )
    return replace(report, rows=rows)


def _statements(rows: Iterable[DifferenceRow], places: Places) -> dict[tuple[str, str], Place]:
    ties = places.ties
    found = {}
    frozen = {}
    for row in rows:
        if (
            row.change == "tied"
            and row.new_name
            and row.new_name in ties
            and not ties[row.new_name].text.is_option
        ):
            found[row.change, row.name] = ties[row.new_name]
        if row.change == "frozen" and row.new_name:
            frozen[row.new_name] = row.name
    for pattern, place in (each for each in reversed(places.frozen) if not each[1].text.is_option):
        for name in matching([compile_pattern(pattern)], frozen):
            found["frozen", frozen[name]] = place
    return found


def _nearest(name: str, places: Mapping[str, Place], moved: Mapping[str, str]) -> Place | None:
    for path in _upwards(name):
        for known in (path, moved.get(path, path)):
            if known in places:
                return places[known]
    return None


def _upwards(name: str) -> Iterator[str]:
    """Yield a name and the paths of the modules around it, the nearest first, up to the root's."""
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ""


def _moved_modules(rows: Iterable[DifferenceRow]) -> dict[str, str]:
    """Return the new paths of modules, as the renamed tensors in them show."""
    moved: dict[str, str] = {}
    for row in rows:
        if row.change == "renamed" and row.new_name:
            was, now = row.name, row.new_name
            while was and now and was.rpartition(".")[2] == now.rpartition(".")[2]:
                was, now = was.rpartition(".")[0], now.rpartition(".")[0]
                moved.setdefault(was, now)
    return moved
