"""The fields of a snapshot, each checked before it is used: the file is untrusted input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from paramtool.errors import ParamtoolError, shorten

FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def mapping(
    given: Any, where: str, check: Callable[[Any], bool], what: str = "class names"
) -> dict[str, Any]:
    """Return a mapping of names to what `check` accepts; raises ParamtoolError for anything else."""
    if not isinstance(given, dict) or not all(check(value) for value in given.values()):
        raise ParamtoolError(f"{where} must map names to {what}, got {shown(given)}")
    return given


def field(given: Mapping[str, Any], key: str, check: Callable[[Any], bool], what: str, where: str) -> Any:
    """Return the field `key`; raises ParamtoolError where it is missing or `check` refuses it."""
    if key not in given:
        hint = "a snapshot has every column, so write it without --columns" if "row " in where else None
        raise ParamtoolError(f"{where} lacks '{key}'", hint=hint)
    if not check(given[key]):
        raise ParamtoolError(f"{where}: '{key}' must be {what}, got {shown(given[key])}")
    return given[key]


def shown(value: Any) -> str:
    """Return a value as messages have it, shortened."""
    kinds = {dict: "an object", list: "a list", type(None): "nothing"}
    return kinds.get(type(value)) or shorten(repr(value))


def is_text(value: Any) -> bool:
    """Tell whether a value is text."""
    return isinstance(value, str)


def is_words(value: Any) -> bool:
    """Tell whether a value is a list of texts."""
    return isinstance(value, list) and all(map(is_text, value))


def is_text_or_none(value: Any) -> bool:
    """Tell whether a value is text or null."""
    return value is None or isinstance(value, str)


def is_flag_or_none(value: Any) -> bool:
    """Tell whether a value is true, false or null."""
    return value is None or isinstance(value, bool)


def is_count(value: Any) -> bool:
    """Tell whether a value is a count."""
    return type(value) is int and 0 <= value < 2**100


def is_count_or_none(value: Any) -> bool:
    """Tell whether a value is a count or null."""
    return value is None or is_count(value)


def is_counts_or_none(value: Any) -> bool:
    """Tell whether a value is a list of counts, or null."""
    return value is None or (isinstance(value, list) and all(map(is_count, value)))


def is_number_or_none(value: Any) -> bool:
    """Tell whether a value is a number, as JSON or as a word, or null."""
    if isinstance(value, str):
        return value in FLOATS
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < 10**308
    return value is None or isinstance(value, float)
