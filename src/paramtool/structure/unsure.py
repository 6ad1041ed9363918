"""The one way out: torch answers anything that is not certain."""

from __future__ import annotations


class Unsure(Exception):
    """Raised if torch might build something else, warn or refuse; the message is for tests only."""


def require(fact: bool, reason: str) -> None:
    """Raise `Unsure` for `reason` unless `fact` holds."""
    if not fact:
        raise Unsure(reason)
