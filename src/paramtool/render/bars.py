"""Bars of block characters, an eighth of a character fine; in ASCII of whole ones."""

from __future__ import annotations

LONGEST = 12
"""Characters of the longest bar."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"


def bar(eighths: int, unicode: bool) -> str:
    """Return a bar of some eighths of a character."""
    if not unicode:
        return "#" * -(-eighths // 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
