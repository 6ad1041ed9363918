"""Patterns: regular expressions searched in names like grep, and stopped when they run away."""

from __future__ import annotations

import re
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from paramtool.errors import ParamtoolError, shorten
from paramtool.place import Place

LONGEST = 1000
"""Characters of an expression; to compile one takes longer than to match it, and memory as well."""

SECONDS = 1.5
"""How long one selection may search; a catastrophic expression would search for years."""


def compile_pattern(pattern: str, place: Place | None = None, option: str | None = None) -> re.Pattern[str]:
    """Return the compiled expression.

    Args:
        pattern: a Python regular expression.
        place: where it is written, in a spec.
        option: the option that gave it, on the command line.

    Raises:
        ParamtoolError: where it is not an expression.
    """
    given = f"{option} " if option else ""
    if len(pattern) > LONGEST:
        raise ParamtoolError(f"{given}a pattern of {len(pattern):,} characters; at most {LONGEST:,}", place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read otherwise
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        message = f"{given}{_quoted(pattern)} is not a regular expression: {reason}"
        raise ParamtoolError(message, place, "escape characters as in '\\['") from error


def matching(patterns: Iterable[re.Pattern[str]], names: Iterable[str]) -> set[str]:
    """Return the names in which any of the patterns is found.

    Raises:
        ParamtoolError: after `SECONDS` seconds, where the platform has timers.
    """
    patterns = list(patterns)
    with _time_limit(", ".join(_quoted(pattern.pattern) for pattern in patterns[:3])):
        return {name for name in names if any(pattern.search(name) for pattern in patterns)}


def _quoted(pattern: str) -> str:
    return f"'{shorten(pattern)}'"


@contextmanager
def _time_limit(what: str) -> Iterator[None]:
    """Interrupt the search: `re` looks for signals on its way, on the main thread only."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise ParamtoolError(
            f"the pattern {what} was still searching after {SECONDS} s",
            hint="avoid nested repeats as in (a+)+",
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
