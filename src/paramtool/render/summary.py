"""The totals in a sentence."""

from __future__ import annotations

from paramtool.records.parameter import ParameterTotals
from paramtool.render.cells import byte_size


def summary(totals: ParameterTotals) -> list[str]:
    """Return the lines below a table: parameters, then buffers and what is not settled."""
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
    return lines


def counted(number: int, noun: str) -> str:
    """Return ``1 tensor``, ``2 tensors``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
