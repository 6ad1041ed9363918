"""What the command line itself refuses, as an error of ours with the line to type."""

from __future__ import annotations

import re
from typing import Any

import typer

from paramtool.cli.typed_line import KEYED, instead, line, typed_words
from paramtool.cli.unknown_option import meant_option
from paramtool.cli.words import INSPECT
from paramtool.errors import ParamtoolError, shorten
from paramtool.render.formats import formats_of
from paramtool.suggestion import nearest

_NO_VALUE = re.compile(r"requires an argument")
_EXTRA = "Got unexpected extra argument"
_NUMBER = re.compile(r"-?[\d.]+(e-?\d+)?")

_CHOICE = re.compile(r"'(?P<typed>[^']*)' is not one of (?P<known>'.*')")
_NO_INTEGER, _NO_NUMBER = "expected an integer", "expected a number"

_VALUES = {
    **dict.fromkeys(("md", "rst", "latex", "gfm"), "markdown"),
    **dict.fromkeys(("htm", "page", "web", "browser"), "html"),
    **dict.fromkeys(("yaml", "yml", "toml", "dict", "pickle"), "json"),
    **dict.fromkeys(("xml", "sarif"), "junit"),
    **dict.fromkeys(("ndjson", "jsonlines"), "jsonl"),
    **dict.fromkeys(("xlsx", "xls", "excel", "pandas", "parquet"), "csv"),
    **dict.fromkeys(("text", "txt", "plain", "pretty", "rich", "ascii"), "table"),
    **dict.fromkeys(("ce", "xent", "softmax"), "cross_entropy"),
    **dict.fromkeys(("bce", "sigmoid"), "bce_with_logits"),
    **dict.fromkeys(("l2", "mean_squared_error"), "mse"),
    **dict.fromkeys(("mae",), "l1"),
    **dict.fromkeys(("huber",), "smooth_l1"),
}
"""Formats and losses that do not exist, and the nearest that do."""


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
    if _NO_VALUE.search(message):
        return _without_value(error, commands)
    if message.startswith(_EXTRA):
        return _extra(message, command)
    if option == "--debug":
        hint = f"put it first: '{command.replace(' ', ' --debug ', 1)} …'"
    elif option is not None:
        message = error.message.rstrip(".") if hasattr(error, "message") else message
        hint = meant_option(str(option), context, commands) or hint
    elif _CHOICE.search(message):
        return _of_choice(error, message, hint)
    elif _NO_INTEGER in message or _NO_NUMBER in message:
        message = _not_a_number(error, message)
    return ParamtoolError(message, hint=hint)


def _without_value(error: Any, commands: Any) -> ParamtoolError:
    """Return ``--top needs N``: the error for an option at the end of the line, or before another."""
    option = str(error.option_name)
    command = next((word for word in typed_words() if word in commands), INSPECT)
    return ParamtoolError(f"{option} needs a value", hint=f"see 'paramtool {command} --help'")


def _extra(message: str, command: str) -> ParamtoolError:
    """Return the error for extra words: values with a space between them, or further MODELs."""
    extra = message.partition(" (")[2].removesuffix(")")
    words = typed_words()
    first = extra.split(" ", 1)[0]
    at = words.index(first) if first in words else 0
    error = ParamtoolError(f"unexpected argument '{shorten(extra)}'", hint=f"see '{command} --help'")
    if at < 2:
        return error
    if command.endswith(" init") and at == 2 and not words[1].startswith("-"):
        return error.mended(first, ("-p", first))  # a name, where another MODEL cannot be
    if words[at - 1] == "-n":  # --dry-run, in init and convert
        names = ["--name" if word == "-n" else word for word in words]
        error.set_hint(f"type: {line(names)}")
        return error
    option, value = words[at - 2 : at]
    if option in KEYED and "=" not in value:
        return error.mended((option, value, first), (option, f"{value}={first}"))
    if option == "--with" and "=" in first:
        return error.mended((option, value, first), (option, f"{value}:{first}"))
    if option.startswith("-") and _NUMBER.fullmatch(first) and not value.startswith("-"):
        return error.mended((option, value, first), (option, f"{value},{first}"))
    return error


def _of_choice(error: Any, message: str, hint: str) -> ParamtoolError:
    """Return ``--loss takes sum or mean, got 'x'``, with a line whose value exists."""
    found = _CHOICE.search(message)
    assert found is not None
    known = re.findall(r"'([^']*)'", found["known"])
    word = found["typed"]
    option = max(getattr(error.param, "opts", ()), key=len, default="")
    if option == "--format":
        known = [each.value for each in formats_of(error.ctx.command.name)]
    meant = _VALUES.get(word.lower()) or nearest(word, known)
    choices = f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
    mended = instead((word,), (meant,)) if meant is not None and meant in known else None
    return ParamtoolError(f"{option} takes {choices}, got '{shorten(word)}'", hint=mended or hint)


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
