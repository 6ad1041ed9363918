"""Check a model against its expectations, with one small function for each kind.  No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Protocol, cast

from paramtool.errors import CannotAnswer, NothingMatched, ParamtoolError
from paramtool.operations.expectations.failure import Unanswered
from paramtool.operations.expectations.finding import Finding
from paramtool.operations.expectations.sharing import SharedNames, expected_names, shared_names
from paramtool.patterns import compile_pattern, matching
from paramtool.place import Place
from paramtool.quantities import Quantity, and_more, byte_size, counted
from paramtool.records.expectation import (
    MACHINE_COLUMNS,
    Expectation,
    ExpectationRow,
    Expectations,
    ExpectationTotals,
)
from paramtool.records.parameter import Listing, ParameterRow, ParameterTotals
from paramtool.records.report import Report
from paramtool.suggestion import did_you_mean

if TYPE_CHECKING:
    from paramtool.language.document import Inputs
    from paramtool.records.gradient import Gradients

MOST_NAMED = 3
"""Names that `found` says; the row has all of them."""


class Examined(Protocol):
    """What a model is asked for; each raises CannotAnswer if its kind has no answer."""

    name: str
    is_buildable: ClassVar[bool]
    inputs: Inputs | None

    def prepare(self) -> None: ...
    def listing(self, *, stats: bool = False) -> Listing: ...
    def representatives(self) -> Mapping[str, str]: ...
    def unfilled(self) -> list[str]: ...
    def hint_of_input(self, argument: str = ...) -> str: ...
    def initialized(self) -> Examined: ...
    def gradients(self, *, by_use: bool, values: bool) -> Gradients: ...


def check(
    expectations: Sequence[Expectation],
    model: Examined,
    differences: Callable[[str, Place, Listing], Sequence[str]],
) -> Expectations:
    """Return a row for each of `expectations`, kept or broken.

    Args:
        expectations: as a spec's ``expect:`` has them.
        model: asked only for what the expectations are about.
        differences: finds how a listing differs from the model of that name, a sentence for each.

    Raises:
        Unanswered: with every expectation that the model cannot answer, and the rows of the others.
    """
    rows = []
    problems: list[ParamtoolError] = []
    if any(each.name in ("finite", "gradients") for each in expectations):
        model.prepare()
    for each in expectations:
        try:
            if each.name == "same_as":
                finding = _same_as(differences(str(each.value), each.place, model.listing()))
            else:
                finding = EXPECTATIONS[each.name](each, model)
            rows.append(_row(each, finding, model.name))
        except CannotAnswer as error:
            message = f"cannot check '{each.name}': {error.message}"
            problems.append(CannotAnswer(message, each.place, error.hint))
    if problems:
        raise Unanswered(problems, rows)
    return Report("check", model.name, tuple(rows), sums(rows), MACHINE_COLUMNS)


def sums(rows: Sequence[ExpectationRow]) -> ExpectationTotals:
    """Return how many of `rows` hold, and how many models have an error instead."""
    checked = [row for row in rows if row.error is None]
    kept = sum(bool(row.holds) for row in checked)
    failed = len({row.model for row in rows if row.error is not None})
    return ExpectationTotals(expectations=len(checked), kept=kept, broken=len(checked) - kept, failed=failed)


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
        value=finding.value,
        file=place.text.name if written else None,
        line=place.line if written else None,
        column=place.column if written else None,
    )


def _parameters(expectation: Expectation, model: Examined) -> Finding:
    totals = _settled(model)
    finding = _counted(expectation, totals.parameters)
    if totals.elements is None:
        return finding
    return replace(finding, found=counted(totals.elements, "element"))


def _trainable(expectation: Expectation, model: Examined) -> Finding:
    trainable = _settled(model).trainable
    if trainable is None:
        raise _no_gradients()
    return _counted(expectation, trainable)


def _bytes(expectation: Expectation, model: Examined) -> Finding:
    nbytes = _settled(model).nbytes
    size = byte_size(nbytes)
    exact = f" ({nbytes:,} B)" if nbytes >= 1000 else ""
    return Finding(nbytes in cast(Quantity, expectation.value), size + exact, value=nbytes)


def _names(expectation: Expectation, model: Examined) -> Finding:
    names = [row.name for row in _parameter_rows(model)]
    obeying = _matching(expectation, names)
    return _all_but([name for name in names if name not in obeying], len(names), "match")


def _frozen(expectation: Expectation, model: Examined) -> Finding:
    rows = _parameter_rows(model)
    matched = _matching(expectation, [row.name for row in rows])
    if not matched:
        return Finding(False, "no parameter matches")
    if any(row.requires_grad is None for row in rows):
        raise _no_gradients()
    trainable = [row.name for row in rows if row.name in matched and row.requires_grad]
    return _all_but(trainable, len(matched), "frozen")


def _dtype(expectation: Expectation, model: Examined) -> Finding:
    rows = _parameter_rows(model)
    others = [row.name for row in rows if row.dtype != expectation.value]
    counts = Counter(str(row.dtype) for row in rows).most_common()
    found = ", ".join(f"{count:,} {each}" for each, count in counts) or "no parameters"
    return Finding(not others, found + _but_not(others, len(rows)), tuple(others), len(rows) - len(others))


def _shared(expectation: Expectation, model: Examined) -> Finding:
    found = _shared_names(expectation, model)
    if found.absent:
        return _absent(found.absent, model)
    if found.holds:
        return Finding(True, "one tensor" if found.are_tied else "overlapping tensors", value=1)
    apart = " and ".join(" = ".join(group) for group in found.groups)
    return Finding(False, f"{apart} are separate", tuple(expected_names(expectation)), len(found.groups))


def _distinct(expectation: Expectation, model: Examined) -> Finding:
    found = _shared_names(expectation, model)
    if found.absent:
        return _absent(found.absent, model)
    if found.holds:
        return Finding(True, counted(len(found.groups), "tensor"), value=len(found.groups))
    together = found.of_several
    said = "; ".join(" = ".join(group) for group in together)
    return Finding(False, said, tuple(name for group in together for name in group), len(found.groups))


def _shared_names(expectation: Expectation, model: Examined) -> SharedNames:
    tensors = {row.name: row.tensor for row in model.listing().rows}
    return shared_names(expectation, tensors, model.representatives)


def _finite(_: Expectation, model: Examined) -> Finding:
    rows = [row for row in model.initialized().listing(stats=True).rows if row.is_parameter and row.counted]
    if not rows:
        return Finding(False, "no parameters", value=0)  # a gate must not pass on the wrong file
    if any(row.shape is None for row in rows):
        raise _lazy()
    lacking = [row.name for row in rows if row.nan is None or row.inf is None]
    wrong = {row.name: _amiss(row) for row in rows if row.nan or row.inf}
    if lacking and not wrong:  # those that could not be looked at may not be
        others = f"; the other {len(rows) - len(lacking):,} are finite" if len(lacking) < len(rows) else ""
        message = f"the values of '{lacking[0]}'{and_more(len(lacking) - 1)} cannot be read{others}"
        raise CannotAnswer(message)
    found = _all_but(list(wrong), len(rows), "finite")
    return (
        Finding(False, f"{found.found} ({next(iter(wrong.values()))})", found.names, found.value)
        if wrong
        else found
    )


def _init(_: Expectation, model: Examined) -> Finding:
    tensors = [row.name for row in _parameter_rows(model) if row.counted]
    try:
        unfilled = model.unfilled()
    except NothingMatched as error:
        return Finding(False, error.message)
    return _all_but(unfilled, len(tensors), "filled")


def _gradients(_: Expectation, model: Examined) -> Finding:
    tensors = [row.name for row in _parameter_rows(model) if row.counted and row.requires_grad]
    if model.is_buildable and model.inputs is None:
        raise CannotAnswer(f"{model.name} has no input to run on", hint=model.hint_of_input(""))
    report = model.initialized().gradients(by_use=False, values=False)
    verdicts = {row.name: row.verdict for row in report.rows if row.kind == "parameter" and row.verdict}
    unreached = [name for name in tensors if verdicts.get(name, "none") == "none"]
    return _all_but(unreached, len(tensors), "reached")


def _same_as(differences: Sequence[str]) -> Finding:
    if not differences:
        return Finding(True, "the same", value=0)
    noun = "difference" if len(differences) == 1 else "differences"
    said = f"{len(differences):,} {noun}: {_first(differences, '; ')}"
    return Finding(False, said, tuple(differences), len(differences))


EXPECTATIONS: dict[str, Callable[[Expectation, Examined], Finding]] = {
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
}
"""What finds out whether an expectation holds, by its name."""


def _parameter_rows(model: Examined) -> list[ParameterRow]:
    return [row for row in model.listing().rows if row.is_parameter]


def _settled(model: Examined) -> ParameterTotals:
    """Return the totals, if every parameter has a shape."""
    counted = model.listing().totals
    if counted.uninitialized:
        raise _lazy()
    return counted


def _lazy() -> CannotAnswer:
    return CannotAnswer("a lazy parameter has no shape yet", hint="give the spec an 'input'")


def _no_gradients() -> CannotAnswer:
    return CannotAnswer(
        "it does not record which parameters require a gradient", hint="a spec or package.module:object does"
    )


def _matching(expectation: Expectation, names: Sequence[str]) -> set[str]:
    return matching([compile_pattern(str(expectation.value), expectation.place)], names)


def _counted(expectation: Expectation, count: int) -> Finding:
    return Finding(count in cast(Quantity, expectation.value), f"{count:,}", value=count)


def _all_but(names: Sequence[str], total: int, what: str) -> Finding:
    """Return the finding when all of `total` are right except `names`."""
    found = f"{total - len(names):,} of {total:,} {what}"
    return Finding(not names, found + _but_not(names, total), tuple(names), total - len(names))


def _but_not(names: Sequence[str], total: int) -> str:
    """Name the first of those that are not right, if others are."""
    return f"; not {_first(names)}" if 0 < len(names) < total else ""


def _first(names: Sequence[str], comma: str = ", ") -> str:
    return comma.join(names[:MOST_NAMED]) + and_more(len(names) - MOST_NAMED, comma)


def _absent(absent: tuple[str, ...], model: Examined) -> Finding:
    hint = did_you_mean(absent[0], [row.name for row in model.listing().rows])
    return Finding(False, f"there is no {_first(absent)}{f'; {hint}' if hint else ''}", absent)


def _amiss(row: ParameterRow) -> str:
    counts = {"NaN": row.nan, "infinite": row.inf}
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
