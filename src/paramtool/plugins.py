"""The door for code from outside: entry points, listed without importing what they name."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

MODULES = "paramtool.modules"
INITIALIZERS = "paramtool.initializers"


def find(group: str, name: str) -> EntryPoint | None:
    """Return the entry point `name` of `group`, or None.

    Raises:
        ParamtoolError: where two distributions offer the name.
    """
    found = list({entry.value: entry for entry in _listed(group) if entry.name == name}.values())
    if len(found) > 1:
        owners = " and ".join(sorted(distribution(entry) for entry in found))
        raise ParamtoolError(f"'{name}' is offered by {owners}", hint="uninstall one of them")
    return found[0] if found else None


def names(group: str) -> list[str]:
    """Return the names that installed distributions offer in `group`."""
    return sorted({entry.name for entry in _listed(group)})


def _listed(group: str) -> tuple[EntryPoint, ...]:
    return _listed_on(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _listed_on(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001 - a key of the cache
    """List a group once for each `path`: a listing reads the metadata of every distribution."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def load(entry: EntryPoint) -> object:
    """Import what `entry` names.

    Raises:
        ParamtoolError: where the import fails, naming the distribution it comes from.
    """
    try:
        return entry.load()
    except Exception as error:
        raise ParamtoolError(
            f"the plugin '{entry.name}' of {distribution(entry)} cannot be imported:"
            f" {type(error).__name__}: {error}"
        ) from error


def distribution(entry: EntryPoint) -> str:
    """Return the name of the distribution that `entry` comes from."""
    return entry.dist.name if entry.dist else entry.value
