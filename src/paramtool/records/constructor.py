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
    complete: set[tuple[str, ...]] = set()  # few fields are given in many ways

    def __init__(self: Any, *values: Any, **given: Any) -> None:  # noqa: N807
        if values:
            count = len(values) + len(given)
            given.update(zip(names, values, strict=False))
            if len(given) != count:
                raise TypeError(f"{record.__name__} takes other positional arguments")
        if (fields_given := (*given,)) not in complete:
            check(fields_given)
        self.__dict__.update(given)

    def check(given: tuple[str, ...]) -> None:
        if not required <= {*given} <= allowed:
            wrong = sorted((required - {*given}) | ({*given} - allowed))
            raise TypeError(f"{record.__name__} lacks or does not have {', '.join(wrong)}")
        complete.add(given)

    record.__init__ = __init__
    return record


def changed(record: Made, **changes: Any) -> Made:
    """Return a copy of a record that is `built_at_once`, with other values in fields that it has."""
    copy = object.__new__(record.__class__)
    facts = copy.__dict__  # an empty dict takes over the table of another as it is
    facts.update(record.__dict__)
    facts.update(changes)
    return copy
