"""What a tone looks like on a terminal: the sixteen colours, which a light and a dark theme each define."""

from __future__ import annotations

from collections.abc import Mapping

from paramtool.records.column import Tone

CODES: Mapping[Tone, str] = {
    "": "",
    "accent": "36",
    "quiet": "2",
    "link": "35",
    "good": "32",
    "notable": "33",
    "gone": "31",
    "bad": "1;31",
}
"""The parameters of "select graphic rendition", ECMA-48 8.3.117, for each tone."""

BOLD = "1"


def toned(text: str, tone: Tone, color: bool = True) -> str:
    """Return `text` in the colour of its tone, if there are colours; spaces around it stay plain."""
    return coded(text, CODES[tone]) if color else text


def coded(text: str, code: str) -> str:
    """Return `text` between a code of `CODES` and the one that ends it."""
    bare = text.strip(" ")
    if not (bare and code):
        return text
    return text.replace(bare, f"\x1b[{code}m{bare}\x1b[0m", 1)
