"""Find the place in B's spec that a difference is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from paramtool.language.document import Spec
from paramtool.patterns import compile_pattern, matching
from paramtool.place import Place
from paramtool.records.difference import DifferenceRow, Differences


def located(
    report: Differences, spec: Spec, places: Mapping[str, Place], *, whole: bool = False
) -> Differences:
    """Return `report` with the places of its differences in `spec`, which is B.

    It is where the tensor is written down, its module, or the nearest module around it; of what is gone
    the module that it was in, where that is still there; of what is tied or frozen that statement.  What
    ``--set`` wrote has no place in a file, and what is around it stands for it.

    Args:
        report: what differs.
        spec: B.
        places: of the modules and tensors of B.
        whole: point at a module that differs as a whole, and not at what is in it.
    """
    moved = _moved_modules(report.rows)
    places = {path: place for path, place in places.items() if not place.text.is_option}
    statements = _statements(report.rows, spec)
    rows = tuple(
        replace(
            row,
            place=statements.get((row.change, row.name))
            or _nearest(row.module[1] if row.module and whole else row.new_name or row.name, places, moved),
        )
        for row in report.rows
    )
    return replace(report, rows=rows)


def _statements(rows: Iterable[DifferenceRow], spec: Spec) -> dict[tuple[str, str], Place]:
    ties = {tie.name.text: tie.name.place for tie in spec.ties}
    found = {}
    frozen = {}
    for row in rows:
        if row.change == "tied" and row.new_name in ties and not ties[row.new_name].text.is_option:
            found[row.change, row.name] = ties[row.new_name]
        if row.change == "frozen" and row.new_name:
            frozen[row.new_name] = row.name
    for pattern in (each for each in reversed(spec.freeze) if not each.place.text.is_option):
        for name in matching([compile_pattern(pattern.text)], frozen):
            found["frozen", frozen[name]] = pattern.place
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
