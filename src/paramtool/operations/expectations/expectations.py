"""Hold a model to what is expected of it: one small function an expectation.  No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import cast

from paramtool.errors import NothingMatched, ParamtoolError, Problems
from paramtool.operations.expectations.evidence import CannotTell, Evidence
from paramtool.operations.expectations.expected_sharing import group_names
from paramtool.patterns import compile_pattern, matching
from paramtool.quantities import Quantity, and_more, byte_size
from paramtool.records.expectation import (
    MACHINE_COLUMNS,
    Expectation,
    ExpectationRow,
    Expectations,
    ExpectationTotals,
)
from paramtool.records.parameter import ParameterRow, ParameterTotals
from paramtool.records.report import Report
from paramtool.suggestion import did_you_mean

MOST_NAMED = 3
"""Names that `found` says; the row has all of them."""


@dataclass(frozen=True)
class Finding:
    """Whether an expectation holds, what was found, and every name that breaks it."""

    holds: bool
    found: str
    names: tuple[str, ...] = ()


def check(
    expectations: Sequence[Expectation], evidence: Evidence, *, model: str | None = None
) -> Expectations:
    """Return a row for each of `expectations`, kept or broken.

    Args:
        expectations: as a spec's ``expect:`` has them.
        evidence: asked only for what the expectations are about.
        model: what to call the model in the report.

    Raises:
        Problems: with every expectation that the model cannot answer.
    """
    rows = []
    problems: list[ParamtoolError] = []
    for each in expectations:
        try:
            rows.append(_row(each, EXPECTATIONS[each.name](each, evidence), model))
        except CannotTell as error:
            message = f"'{each.name}' cannot be told: {error.message}"
            problems.append(CannotTell(message, each.place, error.hint))
    if problems:
        raise Problems(problems)
    return Report("check", model, tuple(rows), sums(rows), MACHINE_COLUMNS)


def sums(rows: Sequence[ExpectationRow]) -> ExpectationTotals:
    """Return how many of `rows` hold."""
    kept = sum(row.holds for row in rows)
    return ExpectationTotals(expectations=len(rows), kept=kept, broken=len(rows) - kept)


def _row(expectation: Expectation, finding: Finding, model: str | None) -> ExpectationRow:
    place = expectation.place
    written = not place.text.is_option
    return ExpectationRow(
        model=model,
        name=expectation.name,
        holds=finding.holds,
        expected=str(expectation),
        found=finding.found,
        names=finding.names,
        file=place.text.name if written else None,
        line=place.line if written else None,
        column=place.column if written else None,
    )


def _parameters(expectation: Expectation, evidence: Evidence) -> Finding:
    return _counted(expectation, _settled(evidence).parameters)


def _trainable(expectation: Expectation, evidence: Evidence) -> Finding:
    trainable = _settled(evidence).trainable
    if trainable is None:
        raise _no_gradients()
    return _counted(expectation, trainable)


def _bytes(expectation: Expectation, evidence: Evidence) -> Finding:
    nbytes = _settled(evidence).nbytes
    size = byte_size(nbytes)
    exact = f" ({nbytes:,} B)" if nbytes >= 1000 else ""
    return Finding(nbytes in cast(Quantity, expectation.value), size + exact)


def _names(expectation: Expectation, evidence: Evidence) -> Finding:
    names = [row.name for row in _parameter_rows(evidence)]
    obeying = _matching(expectation, names)
    return _all_but([name for name in names if name not in obeying], len(names), "match")


def _frozen(expectation: Expectation, evidence: Evidence) -> Finding:
    rows = _parameter_rows(evidence)
    matched = _matching(expectation, [row.name for row in rows])
    if not matched:
        return Finding(False, "no parameter matches")
    if any(row.requires_grad is None for row in rows):
        raise _no_gradients()
    trainable = [row.name for row in rows if row.name in matched and row.requires_grad]
    return _all_but(trainable, len(matched), "frozen")


def _dtype(expectation: Expectation, evidence: Evidence) -> Finding:
    rows = _parameter_rows(evidence)
    others = [row.name for row in rows if row.dtype != expectation.value]
    counts = Counter(str(row.dtype) for row in rows).most_common()
    found = ", ".join(f"{count:,} {each}" for each, count in counts) or "no parameters"
    return Finding(not others, found + _but_not(others, len(rows)), tuple(others))


def _shared(expectation: Expectation, evidence: Evidence) -> Finding:
    names = cast("tuple[str, ...]", expectation.value)
    tensors = {row.name: row.tensor for row in evidence.listing.rows}
    absent = _absent(names, tensors)
    if absent:
        return absent
    if len({tensors[name] for name in names}) == 1:
        return Finding(True, "one tensor")
    groups = group_names(names, evidence.sharing)
    if len(groups) == 1:
        return Finding(True, "overlapping tensors")
    return Finding(False, " and ".join(" = ".join(group) for group in groups) + " are apart", names)


def _distinct(expectation: Expectation, evidence: Evidence) -> Finding:
    names = cast("tuple[str, ...]", expectation.value)
    absent = _absent(names, {row.name for row in evidence.listing.rows})
    if absent:
        return absent
    shared = [group for group in group_names(names, evidence.sharing) if len(group) > 1]
    if not shared:
        return Finding(True, f"{len(names)} tensors")
    found = "; ".join(" = ".join(group) for group in shared)
    return Finding(False, found, tuple(name for group in shared for name in group))


def _finite(_: Expectation, evidence: Evidence) -> Finding:
    rows = [row for row in evidence.statistics.rows if row.is_parameter and row.counted]
    if any(row.shape is None for row in rows):
        raise _lazy()
    if any(row.nan is None or row.inf is None for row in rows):
        raise CannotTell("it holds no statistics", hint="'paramtool inspect --stats' writes them")
    wrong = {row.name: _amiss(row) for row in rows if row.nan or row.inf}
    found = _all_but(list(wrong), len(rows), "finite")
    return Finding(False, f"{found.found} ({next(iter(wrong.values()))})", found.names) if wrong else found


def _init(_: Expectation, evidence: Evidence) -> Finding:
    tensors = [row.name for row in _parameter_rows(evidence) if row.counted]
    try:
        unfilled = list(evidence.unfilled)
    except NothingMatched as error:
        return Finding(False, error.message)
    return _all_but(unfilled, len(tensors), "filled")


def _gradients(_: Expectation, evidence: Evidence) -> Finding:
    tensors = [row.name for row in _parameter_rows(evidence) if row.counted and row.requires_grad]
    verdicts = evidence.verdicts
    unreached = [name for name in tensors if verdicts.get(name, "none") == "none"]
    return _all_but(unreached, len(tensors), "reached")


def _same_as(expectation: Expectation, evidence: Evidence) -> Finding:
    differences = evidence.differences(str(expectation.value), expectation.place)
    if not differences:
        return Finding(True, "the same")
    noun = "difference" if len(differences) == 1 else "differences"
    return Finding(False, f"{len(differences):,} {noun}: {_first(differences, '; ')}", tuple(differences))


EXPECTATIONS: dict[str, Callable[[Expectation, Evidence], Finding]] = {
    "parameters": _parameters,
    "trainable": _trainable,
    "bytes": _bytes,
    "names": _names,
    "frozen": _frozen,
    "dtype": _dtype,
    "shared": _shared,
    "distinct": _distinct,
    "finite": _finite,
    "init": _init,
    "gradients": _gradients,
    "same_as": _same_as,
}
"""What finds out whether an expectation holds, by its name."""


def _parameter_rows(evidence: Evidence) -> list[ParameterRow]:
    return [row for row in evidence.listing.rows if row.is_parameter]


def _settled(evidence: Evidence) -> ParameterTotals:
    """Return the totals, where every parameter has a shape."""
    counted = evidence.listing.totals
    if counted.uninitialized:
        raise _lazy()
    return counted


def _lazy() -> CannotTell:
    return CannotTell("a lazy parameter has no shape yet", hint="input: in the spec gives it one")


def _no_gradients() -> CannotTell:
    return CannotTell("it does not say what requires a gradient", hint="a spec or package.module:object does")


def _matching(expectation: Expectation, names: Sequence[str]) -> set[str]:
    return matching([compile_pattern(str(expectation.value), expectation.place)], names)


def _counted(expectation: Expectation, count: int) -> Finding:
    return Finding(count in cast(Quantity, expectation.value), f"{count:,}")


def _all_but(names: Sequence[str], total: int, what: str) -> Finding:
    """Return the finding where all of `total` are as they should, but for `names`."""
    found = f"{total - len(names):,} of {total:,} {what}"
    return Finding(not names, found + _but_not(names, total), tuple(names))


def _but_not(names: Sequence[str], total: int) -> str:
    """Name the first of those that are not, where others are."""
    return f"; not {_first(names)}" if 0 < len(names) < total else ""


def _first(names: Sequence[str], comma: str = ", ") -> str:
    return comma.join(names[:MOST_NAMED]) + and_more(len(names) - MOST_NAMED, comma)


def _absent(names: Sequence[str], known: Collection[str]) -> Finding | None:
    absent = tuple(name for name in names if name not in known)
    if not absent:
        return None
    hint = did_you_mean(absent[0], known)
    return Finding(False, f"there is no {_first(absent)}{f'; {hint}' if hint else ''}", absent)


def _amiss(row: ParameterRow) -> str:
    counts = {"NaN": row.nan, "infinite": row.inf}
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
