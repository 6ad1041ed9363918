"""The totals in a sentence."""

from __future__ import annotations

from typing import Any

from paramtool.records.parameter import ParameterTotals
from paramtool.records.report import Report
from paramtool.render.cells import byte_size


def summary(report: Report[Any, ParameterTotals]) -> list[str]:
    """Return the lines below a table: parameters, buffers, what is not settled, what is folded."""
    totals = report.totals
    tensors = counted(totals.tensors, "tensor")
    if totals.names != totals.tensors:
        tensors += f" under {totals.names:,} names"
    lines = [
        f"{counted(totals.parameters, 'parameter')} in {tensors}, {byte_size(totals.nbytes)};"
        f" {totals.trainable:,} trainable, {totals.frozen:,} frozen"
    ]
    if totals.buffers:
        lines.append(f"{counted(totals.buffers, 'buffer element')}, {byte_size(totals.buffer_nbytes)}")
    if totals.uninitialized:
        lines.append(f"{counted(totals.uninitialized, 'tensor')} uninitialized, not in the totals")
    names = sum(row.count for row in report.rows)
    if names != len(report.rows):
        hint = "; --all shows each" if any(".." in row.name for row in report.rows) else ""
        lines.append(f"{names:,} names in {counted(len(report.rows), 'line')}{hint}")
    return lines


def counted(number: int, noun: str) -> str:
    """Return ``1 tensor``, ``2 tensors``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
