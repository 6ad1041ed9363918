"""JSON documents that MODEL may name: a snapshot, and the index of a checkpoint's shards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.place import Place, Text

MOST_VALUES = 6_000_000
"""Commas of a document: Python makes an object of what is behind each."""

MOST_CONTAINERS = 1_000_000
"""Objects and lists, which take more: a line of a snapshot is two or three."""

MOST_KEYS = 1_000_000
"""Keys beyond `USUAL_KEYS` an object: these are the same again and again, and cost little."""

USUAL_KEYS = 32


_SNAPSHOT, _INDEX = "a snapshot", "the index of a checkpoint"
_FIRST_KEY = re.compile(r'\s*\{\s*"([^"\\]{1,100})"')
_BY_FIRST_KEY = {"schema": _SNAPSHOT, "command": _SNAPSHOT, "weight_map": _INDEX, "metadata": _INDEX}
_AGAIN = "'paramtool inspect MODEL --json' writes one"
_ONLY_A_BEGINNING = re.compile(r'\s*\{\s*("[^"]*)?\s*')
_SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True)
class Document:
    """A JSON object, and what is wrong with it though Python reads it.

    Attributes:
        name: what it is called in messages.
        content: the object; of keys that appear twice the last.
        problem: the first key that appears twice, or number that is none; None if all is well.
    """

    name: str
    content: dict[str, Any]
    problem: str | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether a command wrote it."""
        return "schema" in self.content and "command" in self.content

    @property
    def is_index(self) -> bool:
        """Whether it says which file has which tensor."""
        return "weight_map" in self.content

    @property
    def form(self) -> str:
        """What it is, for messages."""
        return _SNAPSHOT if self.is_snapshot else _INDEX if self.is_index else "JSON"

    def check(self) -> None:
        """Raise if something is wrong."""
        if self.problem is not None:
            raise ParamtoolError(f"{self.name} is not valid JSON: {self.problem}")


def read_document(text: Text) -> Document | None:
    """Return the JSON object in `text`, or None if it holds something else: a spec may begin like one.

    Raises:
        ParamtoolError: if it has more values than fit in bounded memory, or begins like what a program
            writes as JSON and goes on otherwise, as where it was cut off.
    """
    if text.content.lstrip(" \t\r\n")[:1] != "{":
        return None
    _check_size(text)
    problems: list[str] = []

    def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made and not problems:
                problems.append(f"'{shorten(key)}' appears twice in an object")
            made[key] = value
        return made

    try:
        content = json.loads(
            text.content,
            object_pairs_hook=once,
            parse_constant=lambda word: problems.append(f"{word} is not a number"),
        )
    except json.JSONDecodeError as error:
        broken = _broken(text, error)
        if broken is not None:
            raise broken from error
        return None
    except (ValueError, RecursionError):
        return None
    return Document(text.name, content, problems[0] if problems else None)


def _broken(text: Text, error: json.JSONDecodeError) -> ParamtoolError | None:
    """Return what to say of a text that is not valid JSON; None if it may be a spec all the same."""
    first = _FIRST_KEY.match(text.content)
    what = _BY_FIRST_KEY.get(first[1]) if first else None
    is_begun = first is not None or _ONLY_A_BEGINNING.fullmatch(text.content) is not None
    is_other = is_begun and text.name.endswith(_SUFFIXES) and not (first and first[1] == "model")
    if what is None and not is_other:
        return None
    what = what or "JSON"
    hint = _AGAIN if what == _SNAPSHOT else None
    if error.msg == "Extra data":
        hint = "a snapshot is one: the output of --json, not of --format jsonl"
        return ParamtoolError(f"{text.name} holds more than one JSON object", hint=hint)
    end = len(text.content.rstrip())
    if error.pos >= end or "Unterminated" in error.msg or text.content[end - 1] != "}":
        return ParamtoolError(f"{text.name} is {what} that was cut off", hint=hint)
    message = f"this is {what}, but not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}"
    return ParamtoolError(message, Place(text, error.lineno, error.colno), hint)


def describe_config(content: dict[str, object], name: str) -> ParamtoolError | None:
    """Return the error for the ``config.json`` of a library that is named as MODEL; None if it is not one."""
    if not ({"architectures", "model_type", "_class_name"} & content.keys()):
        return None
    return ParamtoolError(
        f"{name} is the config of a model, without tensors",
        hint="for its structure, name a Python function that builds it, e.g. package.module:function",
    )


def _check_size(text: Text) -> None:
    """Raise if there is too much; what stands in texts counts as well, which is little in a snapshot."""
    content = text.content
    objects, keys = content.count("{"), content.count(":")
    for what, count, most in (
        ("values", content.count(","), MOST_VALUES),
        ("objects and lists", objects + content.count("["), MOST_CONTAINERS),
        ("different keys", keys - USUAL_KEYS * objects, MOST_KEYS),
    ):
        if count > most:
            raise ParamtoolError(f"{text.name} is JSON with more than {most:,} {what}")
