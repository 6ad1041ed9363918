"""How people see each kind of report, in a table of descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paramtool.records.difference import DifferenceTotals
from paramtool.records.report import Report
from paramtool.records.sharing import SharingTotals


@dataclass(frozen=True)
class View:
    """How people see one kind of report.

    Attributes:
        usual: values that say nothing, by column: one in which every row has such a value is not shown.
        says_nothing_in_words: whether the totals say that there are no rows, so that no empty table does.
        folds_each_row: whether a row folds over numbered blocks by itself, and not with its whole block.
    """

    usual: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    says_nothing_in_words: bool = False
    folds_each_row: bool = False


_VIEWS = {
    DifferenceTotals: View(says_nothing_in_words=True, folds_each_row=True),
    SharingTotals: View(usual={"kind": ("parameter", "stored")}, says_nothing_in_words=True),
}
"""By the type of the totals; what is not here has nothing of its own."""


def view_of(report: Report[Any, Any]) -> View:
    """Return how people see `report`."""
    return _VIEWS.get(type(report.totals), View())
