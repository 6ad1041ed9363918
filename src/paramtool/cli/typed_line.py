"""The line that was typed, and the one to type instead: hints are lines that work."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from paramtool.errors import ParamtoolError, Problems

PROGRAM = "paramtool"


def line(arguments: Sequence[str]) -> str:
    """Return arguments as they are typed in a shell."""
    return shlex.join([PROGRAM, *arguments])


def hint_of(error: ParamtoolError, arguments: Sequence[str]) -> None:
    """Put the whole line to type in place of the hint of an error that knows what was meant."""
    for each in error.errors if isinstance(error, Problems) else (error,):
        if each.mend is None:
            continue
        words = mended(arguments, *each.mend)
        if words is not None:
            each.set_hint(f"type: {line(words)}")


def mended(arguments: Sequence[str], typed: Sequence[str], meant: Sequence[str]) -> list[str] | None:
    r"""Return the arguments with the words `meant` in place of `typed`; None if these are not there.

    The first word may also be the value in ``--option=value`` or ``-ovalue``.

    >>> mended(["inspect", "w.pt", "--pattern=*.bias"], ["*.bias"], [r"\.bias$"])
    ['inspect', 'w.pt', '--pattern=\\.bias$']
    """
    words, count = list(arguments), len(typed)
    if count == 0:
        return [*words, *meant]
    for at in range(len(words) - count + 1):
        if words[at : at + count] == list(typed):
            return [*words[:at], *meant, *words[at + count :]]
    if count == len(meant) == 1:
        for at, word in enumerate(words):
            start = word[: len(word) - len(typed[0])]
            is_value = word.endswith(typed[0]) and start.startswith("-")
            if is_value and (start.endswith("=") or len(start) == 2):
                return [*words[:at], f"{start}{meant[0]}", *words[at + 1 :]]
    return None
