"""How people see each kind of report, in a table of descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paramtool.records.difference import DifferenceTotals
from paramtool.records.gradient import GradientTotals
from paramtool.records.initialization import InitializationTotals
from paramtool.records.report import Report
from paramtool.records.sharing import SharingTotals


@dataclass(frozen=True)
class View:
    """How people see one kind of report.

    Attributes:
        usual: values that say nothing, by column: one in which every row has such a value is not shown.
        says_nothing_in_words: whether the totals say that there are no rows, so that no empty table does.
        folds_each_row: whether a row folds over numbered blocks by itself, and not with its whole block.
        least: columns that a narrow terminal does without, those that are missed least first; what belongs
            together is one text.
    """

    usual: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    says_nothing_in_words: bool = False
    folds_each_row: bool = False
    least: Sequence[str] = ()


_INITIALIZATION = (
    "mean_before", "min max", "expected_mean", "mean", "dtype", "note", "shape", "std_before",
    "expected_std",
)  # fmt: skip
_GRADIENT = ("call", "cosine", "abs_max", "operation", "tied", "ratio", "gradient", "uses", "shape", "type")

_VIEWS = {
    DifferenceTotals: View(says_nothing_in_words=True, folds_each_row=True),
    GradientTotals: View(least=_GRADIENT),
    InitializationTotals: View(least=_INITIALIZATION),
    SharingTotals: View(usual={"kind": ("parameter", "stored")}, says_nothing_in_words=True),
}
"""By the type of the totals; what is not here has nothing of its own."""


def view_of(report: Report[Any, Any]) -> View:
    """Return how people see `report`."""
    return _VIEWS.get(type(report.totals), View())
