"""Who reads a message: a person at the command line, who types options, or one who calls functions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_at_terminal = False


@contextmanager
def at_terminal() -> Iterator[None]:
    """Word the messages within for the command line."""
    global _at_terminal  # noqa: PLW0603 - a process has one command line, and threads that work for it
    before, _at_terminal = _at_terminal, True
    try:
        yield
    finally:
        _at_terminal = before


def worded(option: str, argument: str) -> str:
    """Return how the reader says it: ``--force`` at the command line, ``force=True`` in Python."""
    return option if _at_terminal else argument
