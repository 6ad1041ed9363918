"""The notes that `inspect` prints beside its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.errors import NothingMatched
from paramtool.quantities import counted

if TYPE_CHECKING:
    from paramtool.operations.listing.selection import Selection
    from paramtool.records.parameter import Listing

MOST_NOTES = 5
"""The most plain tensors that are named one by one."""


def tell_of_plain_tensors(report: Listing, module: str | None) -> None:
    """Point out tensors that only look like parameters, and a model without parameters."""
    plain = [row for row in report.rows if row.kind == "tensor"]
    for row in plain[:MOST_NOTES]:
        console.note(
            f"{row.name} {list(row.shape or ())} is a plain tensor, not a parameter:"
            " no optimizer, state_dict or .to() sees it"
        )
    if len(plain) > MOST_NOTES:
        console.note(f"{counted(len(plain) - MOST_NOTES, 'more plain tensor')}; --buffers shows all")
    if not report.rows:
        console.note(f"{f'the module {module}' if module else 'the model'} has no parameters")


def unlisted(report: Listing, selection: Selection) -> str | None:
    """Return a hint about selected tensors that are not parameters; None if there are none."""
    from paramtool.operations.listing.selection import select

    try:
        first, *more = select(report.rows, selection)
    except NothingMatched:
        return None
    kind = {"buffer": "a buffer", "tensor": "a plain tensor"}[first.kind]
    if more:
        others = "1 more is not a parameter" if len(more) == 1 else f"{len(more):,} more are not parameters"
        return f"'{first.name}' is {kind}, and {others}; --buffers lists them"
    return f"'{first.name}' is {kind}; --buffers lists it"
