"""How far a long piece of work is, for whoever shows it: nobody, unless the command line is on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

Advance: TypeAlias = "Callable[[int], object]"
"""Is called with what was done since the last call, in the unit of the total, from any thread."""

Progress: TypeAlias = "Callable[[int | None], AbstractContextManager[Advance]]"
"""Takes the total, None if it is not known."""

Show: TypeAlias = "Callable[[int | None, str, str], AbstractContextManager[Advance]]"
"""Takes the total, what is done, and the unit of the total."""

_shows: list[Show] = []
"""Who shows it, if anybody does."""


@contextmanager
def shown_by(show: Show) -> Iterator[None]:
    """Have `show` told of every work that begins in this block."""
    _shows.append(show)
    try:
        yield
    finally:
        _shows.pop()


@contextmanager
def work(what: str, total: int | None = None, unit: str = "elements") -> Iterator[Advance]:
    """Say that something begins that may take long, and that it has ended; yield what to call meanwhile.

    Args:
        what: a word or two: ``statistics``.
        total: how much there is to do; None if that is not known.
        unit: of the total.
    """
    if not _shows:
        yield lambda _: None
        return
    with _shows[-1](total, what, unit) as advance:
        yield advance
