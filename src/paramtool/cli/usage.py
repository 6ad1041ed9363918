"""What the command line itself refuses, as an error of ours with the line to type."""

from __future__ import annotations

import re
from typing import Any

import typer

from paramtool.cli.typed_line import instead, line, typed_words
from paramtool.cli.words import INSPECT, names_model
from paramtool.errors import ParamtoolError
from paramtool.suggestion import nearest

_CHOICE = re.compile(r"'(?P<typed>[^']*)' is not one of (?P<known>'.*')")
_NO_INTEGER, _NO_NUMBER = "expected an integer", "expected a number"

_FORMATS = {
    **dict.fromkeys(("md", "rst", "latex", "gfm"), "markdown"),
    **dict.fromkeys(("htm", "page", "web", "browser"), "html"),
    **dict.fromkeys(("yaml", "yml", "toml", "dict", "pickle"), "json"),
    **dict.fromkeys(("xml", "sarif"), "junit"),
    **dict.fromkeys(("ndjson", "jsonlines"), "jsonl"),
    **dict.fromkeys(("xlsx", "xls", "excel", "pandas", "parquet"), "csv"),
    **dict.fromkeys(("text", "txt", "plain", "pretty", "rich", "ascii"), "table"),
}
"""Formats that there are not, and those that come next to them."""


def usage_error(error: typer.TyperException, commands: Any) -> ParamtoolError:
    """Return an error of Typer's in our words: one line, with the line to type if it is known.

    Args:
        error: what Typer raised.
        commands: the names of the commands.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "paramtool"
    message = error.format_message().rstrip(".").replace("Value error, ", "")
    hint = f"see '{command} --help'"
    option = getattr(error, "option_name", None)
    if option == "--debug":
        hint = f"put it first: '{command.replace(' ', ' --debug ', 1)} …'"
    elif option is not None:
        message = error.message.rstrip(".") if hasattr(error, "message") else message
        hint = _of_option(error, context, commands) or hint
    elif _CHOICE.search(message):
        hint = _of_choice(message) or hint
    elif _NO_INTEGER in message or _NO_NUMBER in message:
        message = _not_a_number(error, message)
    return ParamtoolError(message, hint=hint)


def _of_option(error: Any, context: Any, commands: Any) -> str | None:
    """Return the line with an option that there is, or with the command before its options."""
    words = typed_words()
    if context is not None and context.parent is None:
        at = next((i for i, word in enumerate(words) if word in commands), None)
        if at is not None:
            return f"type: {line([words[at], *words[:at], *words[at + 1 :]])}"
        return f"type: {line([INSPECT, *words])}" if any(map(names_model, words)) else None
    known = getattr(error, "possibilities", None) or ()
    typed = str(error.option_name)
    near = nearest(typed, known)
    return instead((typed,), (near,)) if near else None


def _of_choice(message: str) -> str | None:
    """Return the line with a value that there is."""
    found = _CHOICE.search(message)
    assert found is not None
    known = re.findall(r"'([^']*)'", found["known"])
    word = found["typed"]
    meant = _FORMATS.get(word.lower()) or nearest(word, known)
    return instead((word,), (meant,)) if meant is not None and meant in known else None


def _not_a_number(error: Any, message: str) -> str:
    """Return ``--seed takes an integer, got 'x'``."""
    parameter = getattr(error, "param", None)
    names = list(getattr(parameter, "opts", ()))
    words = typed_words()
    for name in names:
        for at, word in enumerate(words):
            value = words[at + 1] if word == name and at + 1 < len(words) else None
            if word.startswith(f"{name}="):
                value = word[len(name) + 1 :]
            if value is not None:
                kind = "an integer" if _NO_INTEGER in message else "a number"
                return f"{name} takes {kind}, got '{value}'"
    return message
