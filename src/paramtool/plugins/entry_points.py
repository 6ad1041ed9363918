"""What installed distributions offer: entry points, listed without importing what they name."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from paramtool.errors import UserCodeFailed, told
from paramtool.foreign_code import foreign_code
from paramtool.plugins import source
from paramtool.plugins.offer import UNINSTALL, each_once, only

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

MODULES = "paramtool.modules"
INITIALIZERS = "paramtool.initializers"
_OWN = "paramtool"


@dataclass(frozen=True)
class Installed:
    """An offer of an installed distribution."""

    name: str
    value: str
    owner: str
    version: str | None
    entry: EntryPoint

    remedy = UNINSTALL
    typed = ""

    @property
    def origin(self) -> str:
        return f"{self.owner} {self.version}" if self.version else self.owner

    def definition(self) -> ast.FunctionDef | None:
        """Return the function as its source has it."""
        module, _, attribute = self.value.partition(":")
        return source.definition(module.strip(), attribute.partition("[")[0].strip())

    def load(self) -> object:
        """Import what the entry point names.

        Raises:
            ParamtoolError: if the import fails, with the distribution.
        """
        what = f"the plugin '{self.name}' of {self.owner} cannot be imported"
        with foreign_code(lambda error: UserCodeFailed(f"{what}: {told(error)}")):
            return self.entry.load()


def find(group: str, name: str) -> Installed | None:
    """Return what is offered as `name` in `group`, or None.

    Raises:
        ParamtoolError: if two distributions offer the name.
    """
    return only(listed(group), name)


def names(group: str) -> list[str]:
    """Return the names that are offered in `group`."""
    return sorted({each.name for each in listed(group)})


def listed(group: str) -> tuple[Installed, ...]:
    """Return what other distributions than ours offer in `group`, by name, each thing once.

    Ours offers nothing so: what its metadata may still list is from an earlier installation.
    """
    return _listed_on(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _listed_on(group: str, path: tuple[str, ...]) -> tuple[Installed, ...]:  # noqa: ARG001 - a key of the cache
    """List a group once for each `path`: a listing reads the metadata of every distribution."""
    from importlib.metadata import entry_points

    owners: dict[int, tuple[str, str | None] | None] = {}  # one reading of the metadata for each distribution
    found = []
    for entry in entry_points(group=group):
        key = id(entry.dist)
        if key not in owners:
            owners[key] = _owner(entry.dist)
        owner, version = owners[key] or (entry.value, None)
        if _normalized(owner) != _OWN:
            found.append(Installed(entry.name, entry.value, owner, version, entry))
    return tuple(each_once(found))


def _owner(distribution: Distribution | None) -> tuple[str, str | None] | None:
    """Return the name and version of a distribution, or None if its metadata is gone."""
    try:
        metadata = distribution.metadata if distribution else None
    except OSError:  # in Python 3.14
        return None
    found = {key: metadata[key] for key in metadata} if metadata else {}
    return (found["Name"], found.get("Version")) if "Name" in found else None


def _normalized(distribution: str) -> str:
    """Return the name of a distribution as PEP 503 compares them."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
