"""What a tone looks like on a terminal: the sixteen colours, which a light and a dark theme each define."""

from __future__ import annotations

import re
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


class Toned(str):
    """A text that has a tone where there are colours."""

    __slots__ = ("tone",)
    tone: Tone

    def __new__(cls, text: str, tone: Tone) -> Toned:
        """Return `text` with its tone."""
        made = super().__new__(cls, text)
        made.tone = tone
        return made


def painted(text: str, color: bool) -> str:
    """Return a text in its colour, if it has a tone and there are colours."""
    return toned(text, text.tone, color) if isinstance(text, Toned) else text


def toned(text: str, tone: Tone, color: bool = True) -> str:
    """Return `text` in the colour of its tone, if there are colours; spaces around it stay plain."""
    return coded(text, CODES[tone]) if color else text


def coded(text: str, code: str) -> str:
    """Return `text` between a code of `CODES` and the one that ends it."""
    bare = text.strip(" ")
    if not (bare and code):
        return text
    return text.replace(bare, f"\x1b[{code}m{bare}\x1b[0m", 1)


def plain(text: str) -> str:
    """Return `text` without the codes of colours."""
    return _CODE.sub("", text) if "\x1b" in text else text


_CODE = re.compile(r"\x1b\[[0-9;]*m")
