"""Errors that repeat for every block of a model, told once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from paramtool.errors import ParamtoolError
from paramtool.name_parts import folded
from paramtool.place import Place
from paramtool.quantities import counted

MOST_ERRORS = 20
"""Different errors that are printed; more would bury the first."""

MOST_ALIKE = 3
"""Errors that differ only in numbers and are printed one by one."""

_NAME = re.compile(r"'([^']*)'")
_NUMBER = re.compile(r"\d+")

Said = tuple[str, Place | None]
"""The text of an error, and the place to show below it."""


def fold_errors(errors: Sequence[ParamtoolError]) -> Iterator[Said]:
    """Yield what to print of errors, and of how many more there are.

    Names that differ in one number that counts up are one, ``h.{0..11}.weight``; of other errors that
    differ only in numbers, a few are printed and the rest counted.
    """
    groups: dict[str, list[ParamtoolError]] = {}
    for each in errors:
        groups.setdefault(_NUMBER.sub("0", each.message), []).append(each)
    left = len(errors)
    for count, text, place in islice(chain.from_iterable(map(_of_group, groups.values())), MOST_ERRORS):
        yield text, place
        left -= count
    if left:
        yield f"… and {counted(left, 'more error')}", None


def _of_group(group: list[ParamtoolError]) -> Iterator[tuple[int, str, Place | None]]:
    """Yield how many errors each text stands for, the text, and its place."""
    if len(group) <= MOST_ALIKE:
        yield from ((1, str(each), each.place) for each in group)
        return
    if any(each.place is not None and not each.place.text.is_option for each in group):
        yield from ((1, str(each), each.place) for each in group[:MOST_ALIKE])
        last = next((each.place for each in reversed(group) if each.place is not None), None)
        rest = len(group) - MOST_ALIKE
        yield rest, f"… and {rest:,} more like it, the last at {last}", None
        return
    yield from _of_names(group)


def _of_names(group: list[ParamtoolError]) -> Iterator[tuple[int, str, Place | None]]:
    """Write names that count up as one, if nothing else in the messages differs."""
    first = group[0]
    around = {_NAME.sub("''", each.message, count=1) for each in group}
    names = list(_names(each.message for each in group))
    runs = folded(names) if len(around) == 1 and len(names) == len(group) else []
    text = str(first)
    if len(runs) == 1:
        yield len(group), text.replace(f"'{names[0]}'", f"'{runs[0]}'", 1), None
        return
    rest = len(group) - 1
    yield len(group), f"{text} (and {rest:,} more like it)", None


def _names(messages: Iterable[str]) -> Iterator[str]:
    for message in messages:
        found = _NAME.search(message)
        if found is not None:
            yield found[1]
