"""The one way out: what is not certain is asked of torch."""

from __future__ import annotations


class Unsure(Exception):
    """Raised where torch may build something else, warn or refuse; `args[0]` is the reason, for tests."""


def require(fact: bool, reason: str) -> None:
    """Raise `Unsure` for `reason` unless `fact` holds."""
    if not fact:
        raise Unsure(reason)
