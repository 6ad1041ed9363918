"""The one door to initializers: our own, those of installed plugins, and those of Python files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from paramtool.errors import ParamtoolError
from paramtool.initializers.registry.table import BUILT_IN
from paramtool.plugins import entry_points, python_file
from paramtool.plugins.offer import Offer, each_once, only

_from_files: tuple[python_file.FromFile, ...] = ()


def find(name: str) -> Offer | None:
    """Return the initializer that is offered as `name`, or None.

    Raises:
        ParamtoolError: if two owners offer the name, one of which may be this tool.
    """
    return only(listed(), name)


def names() -> list[str]:
    """Return the name of every initializer."""
    return sorted({each.name for each in listed()})


def listed() -> list[Offer]:
    """Return every initializer by name, each thing once."""
    # our own last: they stay where an entry point names the same function
    return each_once((*entry_points.listed(entry_points.INITIALIZERS), *_from_files, *BUILT_IN.values()))


def undeclared(name: str) -> str | None:
    """Return how a function of a file that offers others becomes an initializer; None if there is none."""
    return python_file.undeclared(name, dict.fromkeys(each.file for each in _from_files))


@contextmanager
def from_files(files: Iterable[str]) -> Iterator[None]:
    """Offer the initializers of Python files, until the context ends.

    Raises:
        ParamtoolError: if a file cannot be imported, has none, or has a name that is taken.
    """
    global _from_files  # noqa: PLW0603 - the registry, beside the one that the installation is
    added: list[python_file.FromFile] = []
    for file in dict.fromkeys(files):
        found = python_file.run(file)
        refuse_built_in(file, (each.name for each in found))
        added.extend(found)
    before, _from_files = _from_files, (*_from_files, *added)
    try:
        yield
    finally:
        _from_files = before


def refuse_built_in(file: str, names: Iterable[str]) -> None:
    """Refuse a file with the name of a built-in initializer: a rule would say one and mean another.

    Raises:
        ParamtoolError: with the first such name.
    """
    for name in names:
        if name in BUILT_IN:
            message = f"the plugin {file} has '{name}', but a built-in initializer has that name"
            raise ParamtoolError(message, hint="give the function another name")
