"""A constructor for frozen dataclasses of which there are hundreds of thousands."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

Record = TypeVar("Record", bound=type[Any])
Made = TypeVar("Made")


def built_at_once(record: Record) -> Record:
    """Give a frozen dataclass a constructor that writes all given fields at once.

    The one of `dataclasses` calls ``object.__setattr__`` for each field, those with a default included,
    and takes eight times as long for a row of 24 fields.  Here a default stays on the class.

    Raises:
        TypeError: for a default factory, whose value has no place on the class.
    """
    known = {each.name: each for each in fields(record)}
    if any(each.default_factory is not MISSING for each in known.values()):
        raise TypeError(f"{record.__name__} has a default factory")
    names = tuple(name for name, each in known.items() if not each.kw_only)
    required = frozenset(name for name, each in known.items() if each.default is MISSING)
    allowed = known.keys()

    def __init__(self: Any, *values: Any, **given: Any) -> None:  # noqa: N807
        if values:
            count = len(values) + len(given)
            given.update(zip(names, values, strict=False))
            if len(given) != count:
                raise TypeError(f"{record.__name__} takes other positional arguments")
        if not required <= given.keys() <= allowed:
            wrong = sorted((required - given.keys()) | (given.keys() - allowed))
            raise TypeError(f"{record.__name__} lacks or does not have {', '.join(wrong)}")
        self.__dict__.update(given)

    record.__init__ = __init__
    return record


def changed(record: Made, **changes: Any) -> Made:
    """Return a copy of a record that is `built_at_once`, with other values in fields that it has."""
    copy = object.__new__(record.__class__)
    object.__setattr__(copy, "__dict__", {**record.__dict__, **changes})
    return copy
