"""What ``grad --fail-on`` counts as a failure: verdicts, and conditions such as ``ratio<1e-6``."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from paramtool.errors import ParamtoolError, Unmet, shorten
from paramtool.records.gradient import GradientRow
from paramtool.render.names import shown
from paramtool.suggestion import did_you_mean

FAILURES = {
    "none": ("none",),
    "zero": ("zero",),
    "nan": ("nan",),
    "inf": ("inf",),
    "nonfinite": ("nan", "inf"),
    "vanishing": ("vanishing",),
    "exploding": ("exploding",),
}
MOST_NAMED = 5
"""Rows that a failure names one by one."""

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|==|!=|<|>|=)\s*(.*?)\s*", re.DOTALL)

_OF_ROWS = {
    **dict.fromkeys(("numel", "uses", "norm", "abs_max", "ratio", "sensitivity"), "parameter"),
    **dict.fromkeys(("share", "cosine"), "use"),
    **dict.fromkeys(("output_std", "gradient_std"), "module"),
}
"""The columns with numbers, and the rows that they are of."""


@dataclass(frozen=True)
class Condition:
    """A comparison of one column with a number."""

    column: str
    sign: str
    limit: float

    @property
    def kind(self) -> str:
        """The kind of rows that have the column."""
        return _OF_ROWS[self.column]

    def fails(self, row: GradientRow) -> bool:
        """Return whether the condition holds for `row`; NaN holds in every one, so that it passes no gate."""
        value = getattr(row, self.column)
        if row.kind != self.kind or value is None:
            return False
        return math.isnan(value) or _OPERATORS[self.sign](value, self.limit)


@dataclass(frozen=True)
class Failures:
    """What counts as a failure.

    Attributes:
        verdicts: of parameters.
        conditions: any of them.
    """

    verdicts: frozenset[str] = frozenset()
    conditions: tuple[Condition, ...] = ()

    @classmethod
    def read(cls, given: str | None, *, by_use: bool | None, layers: bool) -> Failures:
        """Return what was typed, with commas between several.

        Raises:
            ParamtoolError: for a word or a condition that is none, or a column that nothing will have.
        """
        verdicts: set[str] = set()
        conditions = []
        for word in (each.strip() for each in given.split(",")) if given is not None else ():
            match = _CONDITION.fullmatch(word)
            if match is not None:
                conditions.append(_condition(word, match, by_use=by_use, layers=layers))
            elif word in FAILURES:
                verdicts.update(FAILURES[word])
            else:
                known = f"use any of {', '.join(FAILURES)}, or a condition such as 'ratio<1e-6'"
                hint = did_you_mean(word, FAILURES) or known
                raise ParamtoolError(f"--fail-on: unknown verdict '{shorten(word)}'", hint=hint)
        return cls(frozenset(verdicts), tuple(conditions))

    def judge(self, rows: Iterable[GradientRow]) -> None:
        """Raise if a parameter that requires grad, one of its uses or a module fails.

        Raises:
            Unmet: with the first rows that fail, and why.
        """
        failed = [found for row in rows if (found := self._found(row)) is not None]
        if failed:
            more = f" and {len(failed) - MOST_NAMED:,} more" if len(failed) > MOST_NAMED else ""
            raise Unmet([ParamtoolError(f"--fail-on: {', '.join(failed[:MOST_NAMED])}{more}")])

    def _found(self, row: GradientRow) -> str | None:
        """Return the name of a row that fails, and why."""
        if row.kind == "parameter" and row.requires_grad is False:
            return None
        if row.kind == "parameter" and row.verdict in self.verdicts:
            return f"'{shown(row.name)}' ({row.verdict})"
        found = [each for each in self.conditions if each.fails(row)]
        if not found:
            return None
        column = found[0].column
        by = ""
        if row.kind == "use":
            by = f" by {shown(row.operation or '')} in '{shown(row.module or '')}'"
        return f"'{shown(row.name)}'{by} ({column} {getattr(row, column):.3g})"


def _condition(word: str, match: re.Match[str], *, by_use: bool | None, layers: bool) -> Condition:
    column, sign, written = match.groups()
    if column not in _OF_ROWS:
        hint = did_you_mean(column, list(_OF_ROWS)) or f"use one of {', '.join(_OF_ROWS)}"
        raise ParamtoolError(f"--fail-on: no column '{shorten(column)}' with numbers", hint=hint)
    try:
        limit = float(written)
    except ValueError:
        limit = math.nan
    if math.isnan(limit):
        message = f"--fail-on: '{shorten(word)}' must end with a number, got '{shorten(written)}'"
        raise ParamtoolError(message, hint="e.g. 'ratio<1e-6'")
    if _OF_ROWS[column] == "module" and not layers:
        raise ParamtoolError(f"--fail-on: '{column}' is of modules", hint="add --layers")
    if by_use is False and (_OF_ROWS[column] == "use" or column == "uses"):
        raise ParamtoolError(f"--fail-on: '{column}' is of uses", hint="leave out --no-by-use")
    return Condition(column, sign, limit)
