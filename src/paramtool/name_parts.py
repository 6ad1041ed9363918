"""The parts of dotted names: the modules around a name, and what is below a module.

A name is that of a tensor or of a module, ``encoder.layers.0.weight``; the root is the empty name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

MOST_PARTS = 64
"""Levels that are distinguished; anything deeper is one last part.  An untrusted file may hold ``a.a.a…``
for a megabyte, and walks need no deep stack for it."""

_NUMBER = re.compile("0|[1-9][0-9]{0,8}")


def parts(name: str) -> list[str]:
    """Return the parts of a name, at most `MOST_PARTS` and the rest as one.

    >>> parts("encoder.0.weight")
    ['encoder', '0', 'weight']
    """
    return name.split(".", MOST_PARTS)


def parent(name: str) -> str:
    """Return the module that a name is in, however deep: ``encoder.0`` for ``encoder.0.weight``."""
    return name.rpartition(".")[0]


def last_part(name: str) -> str:
    """Return what a name is called in its module: ``weight`` for ``encoder.0.weight``."""
    return name.rpartition(".")[2]


def modules_around(name: str) -> Iterator[str]:
    """Yield the modules that a name is in, the root first, no deeper than `MOST_PARTS`.

    >>> list(modules_around("encoder.0.weight"))
    ['', 'encoder', 'encoder.0']
    """
    known = parts(name)
    return (".".join(known[:count]) for count in range(len(known)))


def modules_of(names: Iterable[str]) -> list[str]:
    """Return the modules that any of the names is in, but for the root, in alphabetical order.

    >>> modules_of(["encoder.0.weight", "head.bias"])
    ['encoder', 'encoder.0', 'head']
    """
    return sorted({path for name in names for path in modules_around(name) if path})


def parents(name: str) -> Iterator[str]:
    """Yield the modules that a name is in, the nearest first and the root last.

    It takes quadratic time: only for names of modules that there are, whose depth is bounded.
    """
    while name:
        name = parent(name)
        yield name


def folded(names: Iterable[str]) -> list[str]:
    """Return names in their order, those that differ in the first of their numbers as one.

    >>> folded(["h.0.w", "h.0.b", "h.1.w", "h.1.b", "h.2.w", "h.2.b", "head"])
    ['h.{0..2}.w', 'h.{0..2}.b', 'head']
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        known = parts(name)
        at = next((index for index, part in enumerate(known) if _NUMBER.fullmatch(part)), len(known))
        number = known[at : at + 1]
        groups.setdefault((".".join(known[:at]), ".".join(known[at + 1 :])), []).extend(number)
    return [
        ".".join(part for part in (before, number, after) if part)
        for (before, after), numbers in groups.items()
        for number in _spans(numbers) or [""]
    ]


def _spans(numbers: list[str]) -> list[str]:
    """Return numbers in a row as ``{0..2}``, if they are at least three; any others as they are."""
    first = int(numbers[0]) if numbers else 0
    if len(numbers) > 2 and numbers == [str(first + index) for index in range(len(numbers))]:
        return [f"{{{first}..{first + len(numbers) - 1}}}"]
    return numbers


def prefix(module: str) -> str:
    """Return what the names below a module begin with: nothing below the root."""
    return f"{module}." if module else ""


def is_below(name: str, module: str) -> bool:
    """Tell whether a name is in a module or in one inside it; a module is not below itself."""
    return name != module and name.startswith(prefix(module))


def below(name: str, module: str) -> str:
    """Return the name that something below a module has there.

    >>> below("encoder.0.weight", "encoder")
    '0.weight'
    """
    return name[len(prefix(module)) :]
