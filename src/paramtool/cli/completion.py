"""Completions for the shell; nothing here imports torch or runs what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterable

import typer

from paramtool.errors import ParamtoolError

_PLAIN = re.compile(r"[\w.-]+")
"""Characters that a shell takes literally: untrusted names may hold anything."""


def initializer_names(incomplete: str) -> list[str]:
    """Return every initializer that is installed."""
    from paramtool.initializers.registry import offers

    return _beginning(incomplete, offers.names())


def class_names(incomplete: str) -> list[str]:
    """Return the module classes of torch.nn."""
    from paramtool.language.catalog import shipped

    return _beginning(incomplete, shipped().modules)


def dtypes(incomplete: str) -> list[str]:
    """Return the dtypes of torch."""
    from paramtool.language.catalog import shipped

    return _beginning(incomplete, shipped().dtypes)


def sort_fields(incomplete: str) -> list[str]:
    """Return the fields that a listing is sorted by."""
    from paramtool.operations.listing.selection import SORT_KEYS

    return _beginning(incomplete, SORT_KEYS)


def gradient_fields(incomplete: str) -> list[str]:
    """Return the fields that gradients are sorted by."""
    from paramtool.operations.listing.gradient_groups import SORT_KEYS

    return _beginning(incomplete, SORT_KEYS)


def totals(incomplete: str) -> list[str]:
    """Return the fields that there is a total of."""
    from paramtool.operations.listing.total import FIELDS

    return _beginning(incomplete, FIELDS)


def submodules(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the module names of MODEL, if it is a file that lists them without being built."""
    from paramtool.language.text import STDIN
    from paramtool.models.default import choose
    from paramtool.models.open import open_model

    given = ctx.args[0] if ctx.args else None  # where an option still lacks its value, no argument is named
    try:
        name = choose(given).name
        if name == STDIN:  # the command is to read it
            return []
        paths = open_model(name).module_paths()
    except ParamtoolError:  # told when the command runs
        return []
    return _beginning(incomplete, paths)


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [each for each in words if each.startswith(incomplete) and _PLAIN.fullmatch(each)]
