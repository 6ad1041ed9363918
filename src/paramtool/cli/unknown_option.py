"""An option that the command does not have: the one that was meant, and the line to type."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from paramtool.cli.typed_line import instead, line, typed_words
from paramtool.cli.typed_rules import RULES, SELECTOR_KEYS
from paramtool.cli.words import INSPECT, names_model
from paramtool.render.formats import Format, formats_of
from paramtool.suggestion import nearest

_CLOSE = 0.75
"""How similar two options must be for a suggestion, from 0 to 1."""

_MOST_COMMANDS = 3
"""An option that more commands than this have says nothing about which command was meant."""

_IN_PYTHON = re.compile(r".+\.py:.+|[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""A MODEL that is a class or function, which has arguments."""

OTHER_OPTIONS = {
    **dict.fromkeys(("--regex", "--filter", "--grep", "--match", "--include", "--select"), "--pattern"),
    **dict.fromkeys(("--ignore", "--skip"), "--exclude"),
    **dict.fromkeys(("--checkpoint", "--ckpt", "--load", "--state-dict"), "--weights"),
    **dict.fromkeys(("--limit", "--head"), "--top"),
    **dict.fromkeys(("--fields", "--cols"), "--columns"),
    **dict.fromkeys(("--order", "--order-by"), "--sort"),
    **dict.fromkeys(("--layer", "--submodule"), "--module"),
    "--override": "--set",
    **dict.fromkeys(("--silent", "-s", "--no-output"), "--quiet"),
    "-n": "--name",
    "-V": "--version",
    **dict.fromkeys(("--drop", "--remove", "--without"), "--exclude"),
    **dict.fromkeys(("--tolerance", "--tol"), "--atol"),
    **dict.fromkeys(("--out", "--to", "--save", "--dest"), "--output"),
    **dict.fromkeys(("-y", "--yes", "--overwrite", "--replace"), "--force"),
}
"""What people type, and the option that they mean."""

_OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "--add-prefix": ("--rename", "^"),
    "--half": ("--dtype", "float16"),
    "--fp16": ("--dtype", "float16"),
    "--bf16": ("--dtype", "bfloat16"),
}
"""What people type, and the option and value that they mean, for commands that have it."""

_BOUND = re.compile(r"--(?P<bound>min|max)-(?P<count>parameters|params|trainable|bytes|size)")
_COUNTS = {"params": "parameters", "size": "bytes"}


def meant_option(typed: str, context: Any, commands: Collection[str]) -> str | None:
    """Return a hint for an unknown option, or None.

    Args:
        typed: the option, without a value that is in the same word.
        context: what Typer knows of the command; None before it knows one.
        commands: the names of the commands.
    """
    if context is None:
        return None
    known = list(dict.fromkeys(name for option in context.command.params for name in option.opts))
    if context.parent is None:
        return _before_command(typed, known, commands)
    return (
        _with_value(typed, context.command.name, known)
        or _near(typed, known)
        or _in_longer(typed, known)
        or (None if _has_open_rule(context) else _of_model(typed))
        or _of_command(typed, commands)
        or _of_initializer(typed, context)
    )


def _before_command(typed: str, known: Collection[str], commands: Collection[str]) -> str | None:
    """Return the line with the option after its command, or with a near option that needs no command."""
    words = typed_words()
    at = next((i for i, word in enumerate(words) if word in commands), None)
    if at is not None:
        return f"type: {line([words[at], *words[:at], *words[at + 1 :]])}"
    if any(map(names_model, words)):
        return f"type: {line([INSPECT, *words])}"
    return _near(typed, known)


def _near(typed: str, known: Collection[str]) -> str | None:
    """Return the line with an option that begins with what was typed, means it, or is spelt nearly so."""
    longer = [each for each in known if each.startswith(typed) and len(typed) > 3]
    if len(longer) > 1:
        return f"did you mean {' or '.join(longer)}?"
    meant = OTHER_OPTIONS.get(typed) or next(iter(longer), None)
    if meant in known:
        return instead((typed,), (str(meant),))
    near = nearest(typed, known)
    if near is None or not _is_close(typed, near):
        return None
    argument = _of_model(typed)
    return f"did you mean {near}? {argument}" if argument else instead((typed,), (near,))


def _is_close(typed: str, near: str) -> bool:
    """Return whether an option differs from another by a typing error: ``--my-init`` is not ``--input``."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, typed.strip("-"), near.strip("-")).ratio() >= _CLOSE


def _with_value(typed: str, command: str, known: Collection[str]) -> str | None:
    """Return the line for a value that was typed as an option: ``--tree``, ``--max-parameters 1M``."""
    format = typed.removeprefix("--")
    if "--format" in known and format in {each.value for each in formats_of(command)}:
        return instead((typed,), ("--format", Format(format).value))
    meant = _OTHER_WORDS.get(typed)
    if meant is not None and meant[0] in known:
        return instead((typed,), meant)
    bound = _BOUND.fullmatch(typed)
    option = f"--{_COUNTS.get(bound['count'], bound['count'])}" if bound else ""
    value = _value(typed)
    if bound is None or option not in known or value is None:
        return None
    words = (typed, value) if typed in typed_words() else (f"{typed}={value}",)
    return instead(words, (option, f"{bound['bound']}={value}"))


def _value(typed: str) -> str | None:
    """Return the value that follows an option, in the same word or as the next; None without one."""
    words = typed_words()
    for at, word in enumerate(words):
        if word.startswith(f"{typed}="):
            return word[len(typed) + 1 :]
        if word == typed:
            return words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("--") else None
    return None


def _in_longer(typed: str, known: Collection[str]) -> str | None:
    """Return the option that has another as one of its words: ``--by-use`` for ``--use``."""
    longer = [each for each in known if typed.strip("-") in each.strip("-").split("-")]
    return f"did you mean {longer[0]}?" if len(longer) == 1 and typed.startswith("--") else None


def _of_initializer(typed: str, context: Any) -> str | None:
    """Return how to name an initializer that has no option of its own, such as a plugin's."""
    if RULES not in context.meta or not typed.startswith("--"):
        return None
    from paramtool.initializers.registry import offers

    name = typed.lstrip("-").replace("-", "_").rstrip("_")
    if name in offers.names():
        return f"--with {name}:KEY=VALUE,… is this initializer; see 'paramtool initializers {name}'"
    return f"an initializer from --plugin FILE.py is --with {name}:KEY=VALUE,…"


def _has_open_rule(context: Any) -> bool:
    """Return whether a selector still lacks its initializer, which an unknown option may be."""
    rules = context.meta.get(RULES)
    return bool(rules) and rules[-1].key in SELECTOR_KEYS


def _model() -> str | None:
    """Return the class or function that was typed as MODEL, if any."""
    return next((word for word in typed_words() if _IN_PYTHON.fullmatch(word)), None)


def _of_model(typed: str) -> str | None:
    """Return how to give an argument of a class: ``--arg width=5`` for ``--width=5``."""
    model, value = _model(), _value(typed)
    name = typed.removeprefix("--").replace("-", "_")
    if model is None or value is None or not typed.startswith("--") or not name.isidentifier():
        return None
    return f"an argument of {model} is --arg {name}={value}"


def _of_command(typed: str, commands: Collection[str]) -> str | None:
    """Return the commands that have an option, if they are few."""
    from paramtool.cli.command_group import load

    if not typed.startswith("--"):
        return None
    having = [each for each in commands if any(typed in option.opts for option in load(each).params)]
    if not 0 < len(having) <= _MOST_COMMANDS:
        return None
    return f"it is an option of {' and '.join(having) if len(having) < 3 else ', '.join(having)}"
