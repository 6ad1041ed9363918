"""The elements of tensors below a table or tree, as torch prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from paramtool.records.parameter import Printed
from paramtool.records.report import Report
from paramtool.render.names import shown


def value_lines(report: Report[Any, Any]) -> Iterator[str]:
    """Yield the name and the elements of every row that has them, where they were asked for."""
    if "values" not in report.columns:
        return
    for row in report.rows:
        if isinstance(row.values, Printed):
            yield f" {shown(row.name)}\n{row.values.text}\n\n"
