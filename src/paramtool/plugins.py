"""The door for code from outside: entry points, listed without importing what they name, and files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from paramtool import plugin_file
from paramtool.errors import ParamtoolError, told

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

MODULES = "paramtool.modules"
INITIALIZERS = "paramtool.initializers"


@dataclass(frozen=True)
class FromFile:
    """An initializer of a file that the person named."""

    name: str
    file: str
    function: Callable[..., object]

    @property
    def value(self) -> str:
        return f"{self.file}:{self.name}"


Offer: TypeAlias = "EntryPoint | FromFile"

_from_files: tuple[FromFile, ...] = ()


@contextmanager
def from_files(files: Iterable[str]) -> Iterator[None]:
    """Offer the initializers of Python files, until the context ends.

    Raises:
        ParamtoolError: where a file cannot be imported, has none, or has a name that is taken.
    """
    global _from_files  # noqa: PLW0603 - the registry, beside the one that the installation is
    offers: list[FromFile] = []
    for file in dict.fromkeys(files):
        found = plugin_file.run(file)
        refuse_built_in(file, found)
        offers.extend(FromFile(name, file, function) for name, function in found.items())
    before, _from_files = _from_files, (*_from_files, *offers)
    try:
        yield
    finally:
        _from_files = before


def refuse_built_in(file: str, names: Iterable[str]) -> None:
    """Refuse a file with the name of a built-in initializer: a rule would say one and mean another.

    Raises:
        ParamtoolError: naming the first.
    """
    built_in = {entry.name for entry in _listed(INITIALIZERS) if is_built_in(entry)}
    for name in names:
        if name in built_in:
            message = f"the plugin {file} has '{name}', which is the name of a built-in initializer"
            raise ParamtoolError(message, hint="give the function another name")


def is_built_in(offer: Offer) -> bool:
    """Tell whether this tool brings it."""
    return not isinstance(offer, FromFile) and offer.value.startswith("paramtool.")


def find(group: str, name: str) -> Offer | None:
    """Return what is offered as `name` in `group`, or None.

    Raises:
        ParamtoolError: where two distributions, or files, offer the name.
    """
    found = [offer for offer in offers(group) if offer.name == name]
    if len(found) > 1:
        owners = " and ".join(sorted(distribution(offer) for offer in found))
        in_file = any(isinstance(offer, FromFile) for offer in found)
        hint = "give the function another name" if in_file else "uninstall one of them"
        raise ParamtoolError(f"'{name}' is offered by {owners}", hint=hint)
    return found[0] if found else None


def names(group: str) -> list[str]:
    """Return the names that are offered in `group`."""
    return sorted({offer.name for offer in offers(group)})


def offers(group: str) -> list[Offer]:
    """Return what installed distributions and files offer in `group`, by name, each thing once."""
    all_offers: tuple[Offer, ...] = (*_listed(group), *(_from_files if group == INITIALIZERS else ()))
    once = {(offer.name, offer.value): offer for offer in all_offers}
    return [once[key] for key in sorted(once)]


def _listed(group: str) -> tuple[EntryPoint, ...]:
    return _listed_on(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _listed_on(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:  # noqa: ARG001 - a key of the cache
    """List a group once for each `path`: a listing reads the metadata of every distribution."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def load(offer: Offer) -> object:
    """Import what an entry point names; a file is imported already.

    Raises:
        ParamtoolError: where the import fails, naming the distribution it comes from.
    """
    if isinstance(offer, FromFile):
        return offer.function
    try:
        return offer.load()
    except (Exception, SystemExit) as error:
        message = f"the plugin '{offer.name}' of {distribution(offer)} cannot be imported: {told(error)}"
        raise ParamtoolError(message) from error


def distribution(offer: Offer) -> str:
    """Return the name of the distribution, or the file, that `offer` comes from."""
    if isinstance(offer, FromFile):
        return offer.file
    return offer.dist.name if offer.dist else offer.value
