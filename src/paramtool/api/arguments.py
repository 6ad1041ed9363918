"""Arguments of the functions: refused before anything runs, by the name that the caller wrote."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from paramtool.errors import BadArgument


def check_type(name: str, value: object, kinds: type | tuple[type, ...], what: str) -> None:
    """Refuse a value that is not of `kinds`; a bool is no number.

    Raises:
        BadArgument: with the name of the argument, `what` it is, and what it got.
    """
    listed = kinds if isinstance(kinds, tuple) else (kinds,)
    is_odd_bool = isinstance(value, bool) and bool not in listed
    if is_odd_bool or not isinstance(value, listed):
        raise BadArgument(f"{name} must be {what}, got {_described(value)}")


def check_text(name: str, value: object, *, optional: bool = True) -> None:
    """Refuse what is not a text, nor None where that is allowed."""
    if not (optional and value is None):
        check_type(name, value, str, "a string")


def check_named(name: str, value: object) -> None:
    """Refuse what is not a mapping from names, nor None."""
    if value is None:
        return
    check_type(name, value, Mapping, "a mapping")
    assert isinstance(value, Mapping)
    for key in value:
        check_type(f"a name in {name}", key, str, "a string")


def check_texts(name: str, value: object) -> None:
    """Refuse what is not a list or tuple of texts."""
    check_type(name, value, (list, tuple), "a list of strings")
    assert isinstance(value, Sequence)
    for each in value:
        check_type(f"each of {name}", each, str, "a string")


def check_flags(**flags: object) -> None:
    """Refuse what is neither true nor false, nor None."""
    for name, value in flags.items():
        if value is not None and not isinstance(value, int):
            raise BadArgument(f"{name} must be True or False, got {_described(value)}")


def check_path(name: str, value: str | PathLike[str]) -> None:
    """Refuse what no file can be called."""
    try:
        is_one = b"\0" not in os.fsencode(value)
    except (TypeError, UnicodeEncodeError):
        is_one = False
    if not is_one:
        raise BadArgument(f"{name} must be a path, got {_described(value)} that is none")


def check_number(name: str, value: Any) -> None:
    """Refuse what is not a number of 0 or more."""
    check_type(name, value, (int, float), "a number of 0 or more")
    if math.isnan(value) or value < 0:
        raise BadArgument(f"{name} must be a number of 0 or more, got {value}")


def check_seed(value: Any) -> None:
    """Refuse what is not an integer of 0 to 2^63 - 1, nor None."""
    if value is None:
        return
    check_type("seed", value, int, "an integer")
    if not 0 <= value < 2**63:
        raise BadArgument(f"seed must be from 0 to 2^63 - 1, got {str(value)[:60]}")


def _described(value: object) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)[:60]
    return f"{'an' if type(value).__name__[:1].lower() in 'aeiou' else 'a'} {type(value).__name__}"
