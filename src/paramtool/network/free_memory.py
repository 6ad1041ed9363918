"""Refuse what does not fit in this machine's memory, before it is made."""

from __future__ import annotations

import os

from paramtool.errors import ParamtoolError
from paramtool.place import Place


class OutOfMemory(ParamtoolError):
    """Say that something does not fit in this machine's memory."""


def check_fits(what: str, needed: int, place: Place | None = None, hint: str | None = None) -> None:
    """Raise if `what` needs more bytes than are free.

    Args:
        what: in the plural, as a message begins.
        needed: bytes.
        place: where it is asked for.
        hint: what to do instead.
    """
    try:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every platform knows
        return
    if needed > available:
        message = f"{what} need {needed / 1e9:,.0f} GB, but only {available / 1e9:,.0f} GB are free"
        raise OutOfMemory(message, place, hint)
