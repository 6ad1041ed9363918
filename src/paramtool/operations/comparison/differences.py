"""Compare what two models have, name by name.  No torch; elements are compared by who has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import attrgetter

from paramtool import progress
from paramtool.loading.state_dict import is_stored
from paramtool.operations.comparison.load_verdict import KINDS, Load, judge
from paramtool.operations.comparison.new_names import NewNames
from paramtool.operations.comparison.pairs import Pair, compared, difference_of, have_elements, tied, untied
from paramtool.operations.comparison.renames import SAME_VALUES, Pairing, pair_names
from paramtool.operations.comparison.value_comparison import ValueComparison
from paramtool.operations.comparison.whole_modules import changed_modules, renamed_modules
from paramtool.records.constructor import changed
from paramtool.records.difference import (
    CHANGES,
    COLUMNS,
    SPECTRUM_COLUMNS,
    VALUE_COLUMNS,
    DifferenceRow,
    Differences,
    DifferenceTotals,
)
from paramtool.records.parameter import Listing, ParameterRow
from paramtool.records.report import Report


def differences(
    a: Listing,
    b: Listing,
    values: ValueComparison | None = None,
    *,
    absent_a: Collection[str] = (),
    absent_b: Collection[str] = (),
    load: Load | None = None,
) -> Differences:
    """Return every difference between two listings.

    What a side does not know is not a difference: a checkpoint has no ``requires_grad`` and no kinds.

    Args:
        a: the old model.
        b: what is there now.
        values: compares the elements; None leaves them alone.
        absent_a, absent_b: names that a file only maps to another.
        load: what is loaded, and torch's answer; by default it is predicted from the names.
    """
    load = load or Load.of(a, b, absent_a, absent_b)
    listed_a, listed_b = load.without_extra_state(_listed(a, b)), _listed(b, a)
    rows_a, rows_b = _told(listed_a, listed_b), _told(listed_b, listed_a)
    pairings = _pairings(rows_a, rows_b, values)
    verdict = judge(
        load.answer, load.state, listed_b.values(), _unlisted(a, listed_a) | _unlisted(b, listed_b)
    )
    renamed = NewNames(renamed_modules(pairings, rows_a, rows_b), verdict.breaking)
    elements = None
    if values is not None:
        pairs = _pairs(rows_a, rows_b, pairings).values()
        elements = _elements(pairs)
        values.announce(compared(pairs))
    with progress.work("comparison", elements) as advance:
        found = list(_in_order(rows_a, rows_b, pairings, values, renamed, advance))
    rows = tuple(_all_judged(found, rows_a, verdict.breaking))
    totals = DifferenceTotals(
        a=a.model or "A",
        b=b.model or "B",
        differences=len(rows),
        changes=count_changes(rows),
        parameters_was=a.totals.parameters if _tells_kinds(a.rows) else None,
        parameters_now=b.totals.parameters if _tells_kinds(b.rows) else None,
        values=values is not None,
        selected=False,
        loads=verdict.loads,
        reasons=verdict.reasons,
        warnings=verdict.warnings,
        uncompared=tuple(values.left_out) if values is not None else (),
        without_spectrum=(values.without_spectrum or {}) if values is not None else {},
    )
    columns = (*COLUMNS, *(VALUE_COLUMNS if values is not None else ()))
    columns += SPECTRUM_COLUMNS if values is not None and values.without_spectrum is not None else ()
    return Report("diff", totals.b, rows, totals, columns)


def count_changes(rows: Iterable[DifferenceRow]) -> dict[str, int]:
    """Return the number of rows of each class that there is."""
    counts = Counter(row.change for row in rows)
    return {change: counts[change] for change in CHANGES if counts[change]}


_BREAKING = ("removed", "added", "reshaped", "kind", "persistence")
"""The changes over which a load can fail, beside a new name."""


def _all_judged(
    rows: list[DifferenceRow], a: Mapping[str, ParameterRow], breaking: Collection[str]
) -> list[DifferenceRow]:
    """Return `rows` with what `_judged` finds; those of new names have it already."""
    others = [row for row in rows if row.change != "renamed"]
    if not others:
        return rows
    modules = changed_modules(others, a)
    judged = iter([_judged(row, modules.get((row.change, row.name)), breaking) for row in others])
    return [row if row.change == "renamed" else next(judged) for row in rows]


def _judged(row: DifferenceRow, module: tuple[str, str] | None, breaking: Collection[str]) -> DifferenceRow:
    """Return `row` with the module that it is part of, if any, and with whether a load fails over it."""
    breaks = row.change in _BREAKING and (row.name in breaking or (row.new_name or row.name) in breaking)
    return changed(row, module=module, breaks=breaks) if breaks or module is not None else row


def left_out(report: Listing) -> set[str]:
    """Return the kinds that a listing counts and does not list, as a snapshot without ``--buffers``."""
    counts = {"buffer": report.totals.buffers, "tensor": report.totals.plain_tensors}
    kinds = {row.kind for row in report.rows}
    return {kind for kind, count in counts.items() if count and kind not in kinds}


def _listed(report: Listing, other: Listing) -> dict[str, ParameterRow]:
    """Return the rows by name, without the kinds that the other side leaves out."""
    unknown = left_out(other)
    if not unknown:
        return {row.name: row for row in report.rows}
    others = {row.name for row in other.rows}
    return {row.name: row for row in report.rows if row.kind not in unknown or row.name in others}


def _unlisted(report: Listing, listed: dict[str, ParameterRow]) -> set[str]:
    """Return the names whose kinds the other side leaves out."""
    if len(listed) == len(report.rows):
        return set()
    return {row.name for row in report.rows} - listed.keys()


def _told(rows: dict[str, ParameterRow], others: dict[str, ParameterRow]) -> dict[str, ParameterRow]:
    """Return the rows without what a checkpoint on the other side could not hold."""
    if _tells_kinds(others.values()):
        return rows
    gone = {name for name, row in rows.items() if not (is_stored(row) or name in others)}
    return {name: row for name, row in rows.items() if name not in gone} if gone else rows


def _tells_kinds(rows: Iterable[ParameterRow]) -> bool:
    return all(_kind(row) for row in rows)


def _kind(row: ParameterRow) -> str | None:
    return row.kind if row.kind in KINDS else None


def _pairings(
    a: Mapping[str, ParameterRow], b: Mapping[str, ParameterRow], values: ValueComparison | None
) -> list[Pairing]:
    """Pair what is only in one of them: by elements if there are any, then by name and shape.

    The pairings are in the order of A.
    """
    tell_kinds = _tells_kinds(a.values()) and _tells_kinds(b.values())
    key: Callable[[ParameterRow], Hashable] = attrgetter("shape", "dtype", *(["kind"] if tell_kinds else []))
    removed = {name: key(row) for name, row in a.items() if name not in b}
    added = {name: key(row) for name, row in b.items() if name not in a}
    found: list[Pairing] = []
    if values is not None:
        common = set(removed.values()) & set(added.values())
        names_a = [name for name, key in removed.items() if key in common and a[name].shape is not None]
        names_b = [name for name, key in added.items() if key in common and b[name].shape is not None]
        digests_a, digests_b = values.digests(names_a, names_b)
        found = pair_names(
            {name: (removed[name], digest) for name, digest in digests_a.items()},
            {name: (added[name], digest) for name, digest in digests_b.items()},
        )
        found = [pairing._replace(because=SAME_VALUES) for pairing in found]
    for was, now, _ in found:
        del removed[was], added[now]
    if not found:
        return pair_names(removed, added)
    pairings = {pairing.was: pairing for pairing in (*found, *pair_names(removed, added))}
    return [pairings[name] for name in a if name in pairings]


def _pairs(
    a: Mapping[str, ParameterRow], b: Mapping[str, ParameterRow], pairings: Iterable[Pairing]
) -> dict[str, Pair]:
    """Return what belongs together, by the name in A and in its order."""
    renamed = {pairing.was: Pair(a[pairing.was], b[pairing.now]) for pairing in pairings}
    return {
        name: renamed[name] if name in renamed else Pair(row, b[name])
        for name, row in a.items()
        if name in renamed or name in b
    }


def _in_order(
    a: Mapping[str, ParameterRow],
    b: Mapping[str, ParameterRow],
    pairings: Sequence[Pairing],
    values: ValueComparison | None,
    renamed: NewNames,
    advance: progress.Advance,
) -> Iterator[DifferenceRow]:
    """Yield the differences in the order of A, then what was added, in the order of B."""
    is_tied = _has_ties(a) or _has_ties(b)
    ties = _ties(_pairs(a, b, pairings).values(), b) if is_tied else {}
    are_alike = values is None and not is_tied  # then a pair without other aspects has no more to say
    seen: set[tuple[str, str]] = set()
    new_names = {pairing.was: pairing for pairing in pairings}
    for name, row in a.items():
        pairing = new_names.get(name)
        now = b.get(name) if pairing is None else b[pairing.now]
        if now is None:
            yield DifferenceRow(change="removed", name=name, was=_described(row), tied_to=row.tied_to)
            continue
        if pairing is not None:
            yield renamed.row(pairing)
        is_same = _ASPECTS(row) == _ASPECTS(now)
        if are_alike and is_same:
            continue
        pair = Pair(row, now)
        if not is_same:
            yield from _of_name(pair)
        tensor = (row.tensor, now.tensor)
        if tensor not in seen:  # once, however many names
            seen.add(tensor)
            yield from _of_tensor(pair, values)
            advance(now.numel or 0)
        yield from ties.get(name, ())
    kept = {pairing.now for pairing in pairings}
    for name, row in b.items():
        if name not in kept and name not in a:
            text = _described(row)
            yield DifferenceRow(change="added", name=name, now=text, tied_to=row.tied_to, new_name=name)


def _ties(pairs: Collection[Pair], b: Mapping[str, ParameterRow]) -> dict[str, list[DifferenceRow]]:
    """Return what is tied and untied, by the names in A."""
    ties: dict[str, list[DifferenceRow]] = {}
    for tie in (*untied(pairs), *tied(pairs, b)):
        ties.setdefault(tie.name, []).append(tie)
    return ties


def _has_ties(rows: Mapping[str, ParameterRow]) -> bool:
    return any(name is not None for name in set(map(attrgetter("tied_to"), rows.values())))


def _described(row: ParameterRow) -> str:
    shape = "uninitialized" if row.shape is None else str(list(row.shape))
    kind = {"buffer": " buffer", "tensor": " plain tensor"}.get(row.kind, "")
    return f"{shape} {row.dtype}{kind}{', not persistent' if row.persistent is False else ''}"


_ASPECTS = attrgetter("shape", "dtype", "kind", "requires_grad", "persistent")


def _elements(pairs: Iterable[Pair]) -> int:
    return sum(pair.now.numel or 0 for pair in pairs if pair.now.tied_to is None)


def _of_name(pair: Pair) -> Iterator[DifferenceRow]:
    """Yield what differs in what the name is."""
    was, now = pair
    if _differ(_kind(was), _kind(now)):
        yield difference_of(pair, "kind", was=was.kind, now=now.kind)
    if _differ(was.persistent, now.persistent):
        words = ["persistent" if each.persistent else "not persistent" for each in (was, now)]
        yield difference_of(pair, "persistence", was=words[0], now=words[1])


def _of_tensor(pair: Pair, values: ValueComparison | None) -> Iterator[DifferenceRow]:
    """Yield what differs in the tensor, whatever its name is."""
    was, now = pair
    if _differ(was.shape, now.shape):
        yield difference_of(pair, "reshaped", was=was.shape, now=now.shape)
    if _differ(was.dtype, now.dtype):
        yield difference_of(pair, "retyped", was=was.dtype, now=now.dtype)
    if was.kind == now.kind and _differ(was.requires_grad, now.requires_grad):
        yield difference_of(pair, "unfrozen" if now.requires_grad else "frozen")
    if values is not None and have_elements(pair):
        change = values.change(was.name, now.name)
        if change is not None:
            yield difference_of(pair, "values", **asdict(change))


def _differ(was: object, now: object) -> bool:
    return was != now and was is not None and now is not None
