"""Parse JSON of untrusted input: every failure is a ValueError with one line on what is wrong."""

from __future__ import annotations

import json
from typing import Any

from paramtool.errors import shorten

TOO_DEEP = "its JSON is nested too deeply"

MOST_CHARACTERS = 1 << 26
MOST_VALUES = 6_000_000
"""Commas, each of which may stand for an object of Python."""


def parse_json(text: str | bytes) -> Any:
    """Return what `text` says; keys that appear twice are refused.

    Raises:
        ValueError: if it is not JSON, too large, nested too deeply or not in UTF-8.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"its JSON is longer than {MOST_CHARACTERS:,} bytes")
    content = text.decode() if isinstance(text, bytes) else text
    if content.count(",") + content.count("[") + content.count("{") > MOST_VALUES:
        raise ValueError(f"its JSON has more than {MOST_VALUES:,} values")
    try:
        return json.loads(content, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the object that `text` is; raises as `parse_json` does, and for any other value."""
    found = parse_json(text)
    if not isinstance(found, dict):
        raise ValueError("its JSON is not an object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"'{shorten(key)}' appears twice in its JSON")
        found[key] = value
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{shorten(word)} is not a number")
