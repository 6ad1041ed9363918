"""Patterns: regular expressions searched in names like grep, and stopped when they run away."""

from __future__ import annotations

import re
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import process_time

from paramtool.errors import ParamtoolError
from paramtool.place import Place

LONGEST = 1000
"""Characters of an expression; to compile one takes longer than to match it, and memory as well."""

SECONDS = 1.5
"""CPU seconds that one selection may search; a catastrophic expression would search for years."""

SECONDS_OF_ALL = 6.0
"""CPU seconds for all of a run, beyond what is usual: a spec may hold thousands that just do not run away."""

_USUAL = 3e-6
"""Seconds to search one name for one pattern, which no budget is charged for."""


_ESCAPED = re.compile(r"\\([^a-zA-Z0-9])")
"""A character that stands for itself."""


@dataclass
class _Budget:
    left: float


_budget: ContextVar[_Budget | None] = ContextVar("_budget", default=None)


@contextmanager
def one_budget() -> Iterator[None]:
    """Give all patterns within `SECONDS_OF_ALL` together, as for one run of the command line."""
    token = _budget.set(_Budget(SECONDS_OF_ALL))
    try:
        yield
    finally:
        _budget.reset(token)


def compile_pattern(pattern: str, place: Place | None = None, option: str | None = None) -> re.Pattern[str]:
    """Return the compiled expression.

    Args:
        pattern: a Python regular expression.
        place: where it is written, in a spec.
        option: the option that gave it, on the command line.

    Raises:
        ParamtoolError: if it is not an expression, or takes `SECONDS` seconds to compile.
    """
    given = f"{option} " if option else ""
    if len(pattern) > LONGEST:
        raise ParamtoolError(f"{given}a pattern of {len(pattern):,} characters; at most {LONGEST:,}", place)
    try:
        with _time_limit(f"{_quoted(pattern)} timed out", place), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Python may read otherwise
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        message = f"{given}{_quoted(pattern)} is not a regular expression: {reason}"
        glob = glob_of(pattern)
        if glob is None:
            raise ParamtoolError(message, place, "escape special characters, e.g. '\\['") from error
        hint = f"a pattern is a regular expression; did you mean '{glob}'?"
        raise ParamtoolError(message, place, hint).mended(pattern, glob) from error


def glob_of(pattern: str) -> str | None:
    r"""Return the regular expression for a pattern that is written as in a shell; None if it is not.

    >>> glob_of("*.weight")
    '\\.weight$'
    """
    if "*" not in pattern and "?" not in pattern:
        return None
    if not pattern.strip("*"):
        return "."
    body = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern.strip("*"))
    return f"{'' if pattern.startswith('*') else '^'}{body}{'' if pattern.endswith('*') else '$'}"


def matching(patterns: Iterable[re.Pattern[str]], names: Iterable[str]) -> set[str]:
    """Return the names in which any of the patterns is found.

    Raises:
        ParamtoolError: after `SECONDS` of CPU time, if the platform has timers.
    """
    patterns, names = list(patterns), list(names)
    which = ", ".join(_quoted(pattern.pattern) for pattern in patterns[:3])
    with _time_limit(f"{which} timed out", usual=_USUAL * len(patterns) * len(names)):
        return {name for name in names if any(pattern.search(name) for pattern in patterns)}


def replaced(pattern: re.Pattern[str], replacement: str, names: Iterable[str]) -> dict[str, str]:
    """Return each name with what a pattern matches replaced, as ``re.sub`` does it.

    Raises:
        ParamtoolError: if the replacement names a group that there is not, or after `SECONDS` seconds.
    """
    known = list(names)
    try:
        with _time_limit(f"{_quoted(pattern.pattern)} timed out", usual=_USUAL * len(known)):
            return {name: pattern.sub(replacement, name) for name in known}
    except (re.error, IndexError) as error:
        message = f"the replacement {_quoted(replacement)} does not fit {_quoted(pattern.pattern)}: {error}"
        raise ParamtoolError(message, hint=r"\1 is the first group, \\ a backslash") from error


def also_matched(pattern: str, names: Iterable[str]) -> tuple[str, list[str]] | None:
    """Return the one of `names` that `pattern` spells out, and the others in which it is found too.

    ``0.weight`` is found in ``10.weight`` as well; None where that is not so, or the pattern is anchored.

    >>> also_matched("0.weight", ["0.weight", "1.weight", "10.weight"])
    ('0.weight', ['10.weight'])
    """
    known = list(names)
    spelt = next((each for each in (pattern, _ESCAPED.sub(r"\1", pattern)) if each in known), None)
    if spelt is None:
        return None
    found = matching([compile_pattern(pattern)], known)
    others = [name for name in known if name in found and name != spelt]
    return (spelt, others) if others else None


def _quoted(pattern: str) -> str:
    return f"'{pattern}'" if len(pattern) <= 60 else f"'{pattern[:59]}…'"


@contextmanager
def _time_limit(what: str, place: Place | None = None, usual: float = 0.0) -> Iterator[None]:
    """Interrupt what `re` does: it looks for signals on its way, on the main thread only.

    The seconds are CPU time, so that a busy machine refuses no pattern.

    Args:
        what: the end of a sentence on the pattern.
        place: where the pattern is written.
        usual: seconds that are not charged to the budget of all patterns.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    budget = _budget.get() or _Budget(SECONDS_OF_ALL)
    seconds = min(SECONDS, budget.left + usual)

    def stop(*_: object) -> None:
        together = "" if seconds == SECONDS else f", and all patterns together took {SECONDS_OF_ALL:g} s"
        message = f"the pattern {what} after {seconds:.1f} s{together}"
        raise ParamtoolError(message, place, "avoid nested repeats such as (a+)+")

    if seconds <= 0:
        stop()
    before = signal.signal(signal.SIGVTALRM, stop)
    began = process_time()
    timer = signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, *timer)
        signal.signal(signal.SIGVTALRM, before)
        budget.left -= max(0.0, process_time() - began - usual)
