"""What the text will be shown on, and how much of it a text takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Screen:
    """A terminal, or a file or pipe.

    Attributes:
        width: columns of the terminal; None if there is no edge.
        color: whether to use colours and styles.
        unicode: whether characters beyond ASCII come through.
    """

    width: int | None = None
    color: bool = False
    unicode: bool = True


A_FILE = Screen()
"""A file that takes everything."""


def widest(texts: Sequence[str]) -> int:
    """Return the columns that the widest of some texts takes; 0 if there are none."""
    measure = len if "".join(texts).isascii() else width_of
    return max(map(measure, texts), default=0)


def width_of(text: str) -> int:
    """Return the columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
