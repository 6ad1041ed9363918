"""The first word of a line that is not a command: a MODEL to inspect, or another word for a command."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from paramtool.cli.typed_line import line
from paramtool.errors import ParamtoolError
from paramtool.suggestion import nearest

INSPECT = "inspect"

OTHER_WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "info", "ls", "list", "show", "summary", "summarize", "params", "parameters", "print", "cat",
            "view", "describe", "dump", "names", "shapes", "weights", "open", "look", "keys", "size", "count",
        ),
        (INSPECT,),
    ),
    "tree": (INSPECT, "--format", "tree"),
    "json": (INSPECT, "--json"),
    **dict.fromkeys(("stats", "statistics", "hist", "histogram"), (INSPECT, "--stats")),
    **dict.fromkeys(("values", "tensors"), (INSPECT, "--values")),
    **dict.fromkeys(("contents", "metadata", "meta"), (INSPECT, "--contents")),
    **dict.fromkeys(("compare", "cmp", "changes"), ("diff",)),
    **dict.fromkeys(("validate", "verify", "lint", "test", "assert", "expect"), ("check",)),
    **dict.fromkeys(("initialize", "initialise", "fill", "reset"), ("init",)),
    "plan": ("init", "--dry-run"),
    **dict.fromkeys(("gradient", "gradients", "grads", "backward"), ("grad",)),
    **dict.fromkeys(("ties", "tied", "tie", "share", "sharing", "aliases"), ("shared",)),
    **dict.fromkeys(("initializer", "laws"), ("initializers",)),
    **dict.fromkeys(("cast", "rename", "reshard", "export", "save", "to"), ("convert",)),
}  # fmt: skip
"""What people type for a command, and the words that they mean."""


def names_model(word: str) -> bool:
    """Return whether a first word is a MODEL: a file or folder, a name in Python, or written like one."""
    if word in ("", "-") or "." in word or ":" in word or "/" in word:
        return True
    try:
        return os.path.lexists(word) or Path(f"{word}.py").is_file()
    except ValueError:  # a NUL in it
        return False


def check_order(words: Sequence[str], known: Collection[str]) -> None:
    """Refuse a MODEL before its command, ``paramtool model.yaml shared``.

    Raises:
        ParamtoolError: with the line to type.
    """
    model, *rest = words
    if rest and rest[0] in known and not os.path.lexists(rest[0]):
        hint = f"type: {line([rest[0], model, *rest[1:]])}"
        raise ParamtoolError(f"the command '{rest[0]}' comes before MODEL", hint=hint)


def unknown_command(words: Sequence[str], known: Collection[str]) -> ParamtoolError:
    """Return the error for a first word that is neither a command nor a MODEL, with the line to type."""
    word, rest = words[0], list(words[1:])
    message = f"no command '{word}'"
    meant = OTHER_WORDS.get(word.lower())
    if meant is not None and meant[0] in known:
        return ParamtoolError(message, hint=f"type: {line([meant[0], *rest, *meant[1:]])}")
    if word in ("help", "version"):
        named = [each for each in rest[:1] if each in known and word == "help"]
        return ParamtoolError(message, hint=f"type: {line([*named, f'--{word}'])}")
    near = nearest(word, known)
    if near is None:
        return ParamtoolError(message, hint="see 'paramtool --help'")
    return ParamtoolError(message, hint=f"did you mean '{near}'? type: {line([near, *rest])}")
