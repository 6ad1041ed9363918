"""JSON documents that MODEL may name: a snapshot, and the index of a checkpoint's shards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.place import Text


@dataclass(frozen=True)
class Document:
    """A JSON object, and what is wrong with it though Python reads it.

    Attributes:
        name: what it is called in messages.
        content: the object; of keys that come twice the last.
        problem: the first key that comes twice, or number that is none; None where all is well.
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
        return "a snapshot" if self.is_snapshot else "the index of a checkpoint" if self.is_index else "JSON"

    def check(self) -> None:
        """Raise where something is wrong."""
        if self.problem is not None:
            raise ParamtoolError(f"{self.name} is no proper JSON: {self.problem}")


def read_document(text: Text) -> Document | None:
    """Return the JSON object in `text`, or None where it holds something else: a spec may begin like one."""
    if text.content.lstrip(" \t\r\n")[:1] != "{":
        return None
    problems: list[str] = []

    def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made:
                problems.append(f"'{shorten(key)}' comes twice in an object")
            made[key] = value
        return made

    try:
        content = json.loads(
            text.content,
            object_pairs_hook=once,
            parse_constant=lambda word: problems.append(f"{word} is no number"),
        )
    except (ValueError, RecursionError):
        return None
    return Document(text.name, content, problems[0] if problems else None)
