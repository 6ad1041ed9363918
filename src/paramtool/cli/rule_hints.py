"""The line to type for rules that nearly work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from paramtool.cli.model_argument import selected_by
from paramtool.cli.typed_rules import SELECTOR_KEYS, Typed
from paramtool.errors import NothingMatched, ParamtoolError, Problems
from paramtool.models.model import Model

_TOO_FEW = ("fewer than 2 dimensions", "2 or more dimensions")
"""What the message of an initializer says that needs a matrix."""


def mend_dimensions(error: ParamtoolError, model: Model, typed: Sequence[Typed]) -> None:
    """Add the line that leaves norm weights out, to errors of an initializer that needs a matrix."""
    problems = error.errors if isinstance(error, Problems) else [error]
    rules = {" ".join(each.written for each in rule): rule for rule in _rules(typed)}
    for each in problems:
        if each.place is None or not any(said in each.message for said in _TOO_FEW):
            continue
        each.set_hint("'ndim: 2' in the rule selects matrices only")
        rule = rules.get(each.place.text.name)
        sizes = _sizes(rule, model) if rule else []
        if rule and sizes and not any(part.key == "ndim" for part in rule):
            words = [word for part in rule for word in part.written.split(" ", 1)]
            before = sum(len(part.written.split(" ", 1)) for part in rule[:-1])
            meant = [
                word for size in sizes for word in (*words[:before], "--ndim", str(size), *words[before:])
            ]
            each.mended(words, meant)


def _rules(typed: Sequence[Typed]) -> Iterator[list[Typed]]:
    rule: list[Typed] = []
    for each in typed:
        rule.append(each)
        if each.key not in SELECTOR_KEYS:
            yield rule
            rule = []


def _sizes(rule: Sequence[Typed], model: Model) -> list[int]:
    """Return the numbers of dimensions, 2 or more, among what a rule selects."""
    from paramtool.operations.listing.selection import select

    def given(key: str) -> list[str]:
        return [each.value or "" for each in rule if each.key == key]

    selection = selected_by(given("pattern"), given("exclude"), given("type"), given("name"), given("module"))
    rows = [row for row in model.listing().rows if row.is_parameter]
    try:
        kept = select(rows, selection)
    except NothingMatched:
        return []
    return sorted({len(row.shape) for row in kept if row.shape is not None and len(row.shape) > 1})
