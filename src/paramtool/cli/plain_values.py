"""Values that are typed as plain words, numbers and choices, converted without pydantic.

Since 0.29 Typer converts every value with a pydantic ``TypeAdapter``, also the default of an option that
nobody typed.  Importing pydantic and building the adapters took a third of the CPU time of a command
that reads one small file.  Typer builds them as late as possible: where a parameter's
``get_runtime_param()`` is first called.  So that method answers here with an object that converts what
is plain (None, a word, a list of words, a choice by its exact value, digits in range), and leaves
everything else to Typer, with all of its error messages.

Giving Typer nothing but ``str`` would not help, since it converts a ``str`` by an adapter too.  A Typer
without this method keeps its own way, which is slower and otherwise the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, get_args, get_origin

import typer

_DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
_UNREAD = object()
_MESSAGES = (
    ("valid integer", "expected an integer"),
    ("valid number", "expected a number"),
    (r"greater than or equal to (\S+)", "must be {} or more"),
    (r"less than or equal to (\S+)", "must be {} or less"),
    (r"greater than (\S+)", "must be more than {}"),
)
"""What pydantic says of numbers, and what it means."""


def convert_plainly(parameters: list[Any]) -> list[Any]:
    """Return the parameters of a Typer command, which convert plain values without pydantic if they can.

    They are those of `get_params()`: only there are ``--help`` and the options for completion among them.
    """
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        info = getattr(descriptor, "parameter_info", None)
        typers = getattr(parameter, "get_runtime_param", None)
        if info is None or typers is None or "get_runtime_param" in vars(parameter):
            continue
        read = _reader(getattr(descriptor, "annotation", None), info)
        if read is not None:
            plain = _Plain(read, typers)
            parameter.get_runtime_param = partial(_itself, plain)
    return parameters


def _itself(plain: _Plain) -> _Plain:
    return plain


class _Plain:
    """What Typer asks to convert the value of one parameter."""

    def __init__(self, read: Callable[[Any], Any], typers: Callable[[], Any]) -> None:
        self._read = read
        self._typers = typers

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value for the command; None where nothing was typed, or no values of several."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        found = self._read(value)
        if found is not _UNREAD:
            return found
        try:
            return self._typers().coerce(value, param=param, ctx=ctx)
        except typer.BadParameter as error:
            message = _in_plain_words(error.message, value)
            if message is None:
                raise
            raise typer.BadParameter(message, ctx=error.ctx, param=error.param) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._typers(), name)


def _in_plain_words(message: str, value: Any) -> str | None:
    """Return what pydantic means by a message on a number; None where it is about something else."""
    for pattern, said in _MESSAGES:
        match = re.search(pattern, message)
        if match:
            return f"{said.format(*match.groups())}, got {str(value)[:60]!r}"
    return None


def _reader(annotation: Any, info: Any) -> Callable[[Any], Any] | None:
    """Return what reads a plain value of a type; it returns `_UNREAD` for what is not plain."""
    if getattr(info, "parser", None) is not None:
        return None
    if get_origin(annotation) is list and get_args(annotation) == (str,):
        return _words
    if annotation is str:
        return _word
    if annotation is int and not info.clamp:
        return lambda value: _integer(value, info.min, info.max)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        members = {each.value: each for each in annotation}
        return lambda value: _choice(value, annotation, members)
    return (lambda _: _UNREAD) if annotation in (bool, float) else None


def _word(value: Any) -> Any:
    return value if type(value) is str else _UNREAD


def _words(value: Any) -> Any:
    is_plain = isinstance(value, (list, tuple)) and all(type(each) is str for each in value)
    return list(value) if is_plain else _UNREAD


def _integer(value: Any, least: float | None, most: float | None) -> Any:
    """Read digits without a sign that are in range; a default that is a number is one already."""
    if type(value) is str and _DIGITS.fullmatch(value):
        value = int(value)
    is_in_range = type(value) is int and not (
        (least is not None and value < least) or (most is not None and value > most)
    )
    return value if is_in_range else _UNREAD


def _choice(value: Any, kind: type[Enum], members: dict[Any, Enum]) -> Any:
    if isinstance(value, kind):
        return value
    return members.get(value, _UNREAD) if type(value) is str else _UNREAD
