"""What an expectation comes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Whether an expectation holds, what was found, every name that breaks it, and `found` as a number."""

    holds: bool
    found: str
    names: tuple[str, ...] = ()
    value: int | None = None
