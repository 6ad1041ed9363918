"""The elements of tensors as torch prints them: in a cell, or below a table or tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from paramtool.records.parameter import MOST_INLINE, Printed, Values
from paramtool.records.report import Report
from paramtool.render.names import shown

if TYPE_CHECKING:
    from paramtool.records.gradient import GradientRow, GradientTotals


_MOST_OUTPUT = 10
"""Elements of an output that is printed beside gradients that are not."""


class PrintedBlock(NamedTuple):
    """What is printed below a table.

    Attributes:
        label: what it is.
        text: the elements as torch prints them; None if they are too many here.
        values: the elements, if they are few enough to be kept.
    """

    label: str
    text: str | None
    values: Values | None = None


def inline(value: Printed) -> str | None:
    """Return the elements as torch prints them, on one line; None if that is too long for a cell."""
    if _count(value.values) > MOST_INLINE:
        return None
    text = re.sub(r"\s*\n\s*", " ", value.text.removeprefix("tensor("))
    return re.sub(r"(, \w+=[\w.'<>:()]+)*\)$", "", text)


def value_lines(report: Report[Any, Any]) -> Iterator[str]:
    """Yield the label and the elements of everything that is to be printed whole."""
    for label, text, _ in printed_blocks(report):
        yield f" {label}\n" + (f"{text}\n" if text else "") + "\n"


def printed_blocks(report: Report[Any, Any]) -> Iterator[PrintedBlock]:
    """Yield what is printed below the table."""
    for row in report.rows if "values" in report.columns else ():
        if isinstance(row.values, Printed):
            yield PrintedBlock(shown(row.name), row.values.text, row.values.values)
    above = None
    for row in report.rows if "gradient" in report.columns else ():
        is_told = row.kind == "use" and row.gradient == above  # by a parameter's only use
        if isinstance(row.gradient, Printed) and inline(row.gradient) is None and not is_told:
            yield PrintedBlock(_label(row), row.gradient.text, row.gradient.values)
        above = row.gradient
    if report.command == "grad":
        printed = (row.gradient for row in report.rows if isinstance(row.gradient, Printed))
        yield from _passes(report.totals, any(inline(each) is None for each in printed))


def _label(row: GradientRow) -> str:
    if row.kind == "parameter":
        return f"gradient of {shown(row.name)}"
    where = f" in {shown(row.module)}" if row.module else ""
    return f"gradient of {shown(row.name)}, by {shown(row.operation or '')}{where}, call {row.call}"


def _passes(totals: GradientTotals, is_whole: bool) -> Iterator[PrintedBlock]:
    """Yield the output and the loss as a notebook shows them; a longer output where gradients are whole."""
    for output in totals.outputs:
        text = output.text if is_whole or _count(output.values) <= _MOST_OUTPUT else None
        made = f", grad_fn=<{output.grad_fn}>" if output.grad_fn and text is None else ""
        label = f"{shown(output.name)} {list(output.shape)} {output.dtype}{shown(made)}"
        yield PrintedBlock(label, text, None if text is None else output.values)
    last = f", of pass {totals.steps} of {totals.steps}" if totals.steps > 1 else ""
    yield PrintedBlock(f"loss: {shown(totals.loss_function)} of the output{last}", totals.loss_text)


def _count(values: Any) -> int:
    if values is None:
        return _MOST_OUTPUT + 1
    return sum(_count(each) for each in values) if isinstance(values, tuple) else 1
