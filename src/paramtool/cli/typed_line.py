"""The line that was typed, and the one to type instead: hints are lines that work."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from paramtool.errors import ParamtoolError, Problems

PROGRAM = "paramtool"

KEYED = ("--arg", "--arg-a", "--arg-b", "--set", "--set-a", "--set-b", "--metadata")
"""Options whose value is KEY=VALUE."""

_typed: ContextVar[tuple[str, ...]] = ContextVar("_typed", default=())


@contextmanager
def typed(arguments: Sequence[str]) -> Iterator[None]:
    """Keep the arguments of a run for its hints."""
    token = _typed.set(tuple(arguments))
    try:
        yield
    finally:
        _typed.reset(token)


def typed_words() -> tuple[str, ...]:
    """Return the arguments of this run."""
    return _typed.get()


def instead(typed: Sequence[str], meant: Sequence[str]) -> str | None:
    """Return ``type: LINE``, the line with the words `meant` in place of `typed`; of none, at its end.

    None if they are not in the line.
    """
    words = mended(_typed.get(), typed, meant)
    return None if words is None else f"type: {line(words)}"


def value_instead(options: Sequence[str], typed: str, meant: str) -> str | None:
    """Return ``type: LINE``, the line with another value of one of `options`; the same word elsewhere stays.

    None if no option in the line has the value `typed`.
    """
    for option in options:
        glue = "=" if option.startswith("--") else ""
        hint = instead((option, typed), (option, meant))
        hint = hint or instead((f"{option}{glue}{typed}",), (f"{option}{glue}{meant}",))
        if hint is not None:
            return hint
    return None


def line(arguments: Sequence[str]) -> str:
    """Return arguments as they are typed in a shell."""
    return " ".join(map(_quoted, (PROGRAM, *arguments)))


def _quoted(word: str) -> str:
    r"""Return a word as a shell reads it; what cannot be shown, as bash, zsh and ksh read it in ``$'…'``.

    >>> print(_quoted("a b.pt"), _quoted("a" + chr(10) + "b's.pt"))
    'a b.pt' $'a\nb\'s.pt'
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character == "\n" or character.isprintable():
        return character.replace("\n", r"\n")
    is_byte = "\udc80" <= character <= "\udcff"  # of a file name that is not UTF-8
    encoded = character.encode("utf-8", "surrogateescape" if is_byte else "surrogatepass")
    return "".join(f"\\{byte:03o}" for byte in encoded)


def show_line(error: ParamtoolError) -> None:
    """Put the whole line to type in place of the hint of an error that knows what was meant."""
    for each in error.errors if isinstance(error, Problems) else (error,):
        hint = None if each.mend is None else instead(*each.mend)
        if hint is not None:
            each.set_hint(hint)


def mended(arguments: Sequence[str], typed: Sequence[str], meant: Sequence[str]) -> list[str] | None:
    r"""Return the arguments with the words `meant` in place of `typed`; None if these are not there.

    The first word may also be the option or the value in ``--option=value``, the value in ``-ovalue``, or
    a part of a value with commas.

    >>> mended(["inspect", "w.pt", "--pattern=*.bias"], ["*.bias"], [r"\.bias$"])
    ['inspect', 'w.pt', '--pattern=\\.bias$']
    >>> mended(["init", "--clamp", "-inf,0"], ["-inf"], ["-.inf"])
    ['init', '--clamp', '-.inf,0']
    """
    words, count = list(arguments), len(typed)
    if count == 0:
        return [*words, *meant]
    for at in range(len(words) - count + 1):
        if words[at : at + count] == list(typed):
            return [*words[:at], *meant, *words[at + count :]]
    if count == len(meant) == 1:
        for at, word in enumerate(words):
            if typed[0].startswith("--") and word.startswith(f"{typed[0]}="):
                return [*words[:at], f"{meant[0]}{word[len(typed[0]) :]}", *words[at + 1 :]]
            start = word[: len(word) - len(typed[0])]
            is_value = word.endswith(typed[0]) and start.startswith("-")
            if is_value and (start.endswith("=") or len(start) == 2):
                return [*words[:at], f"{start}{meant[0]}", *words[at + 1 :]]
        for at, word in enumerate(words):
            option, equals, value = word.rpartition("=")
            parts = value.split(",")
            if len(parts) > 1 and typed[0] in parts:
                parts[parts.index(typed[0])] = meant[0]
                return [*words[:at], f"{option}{equals}{','.join(parts)}", *words[at + 1 :]]
    return None
