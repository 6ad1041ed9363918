"""One thing that somebody offers under a name, for a rule or a spec to use."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Protocol, TypeVar

from paramtool.errors import ParamtoolError

UNINSTALL, RENAME = "uninstall one of them", "give the function another name"
"""What to do about two offers of one name: of installed distributions, and of files."""


class Offer(Protocol):
    """What is offered, known without importing it.

    Attributes:
        name: as rules and specs write it.
        value: where it is, ``module:attribute`` or ``file:function``.
        owner: the distribution or the file that it comes from.
        origin: the owner with its version, as ``laws 2.5``.
        remedy: what to do if another owner offers the name as well.
        typed: what a command line needs before a rule may use it; empty for what is installed.
    """

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def remedy(self) -> str: ...
    @property
    def typed(self) -> str: ...

    def definition(self) -> ast.FunctionDef | None:
        """Return the function as its source has it, without running it; None if there is none to read."""

    def load(self) -> object:
        """Import the thing itself.

        Raises:
            ParamtoolError: if the import fails, with the owner.
        """


Some = TypeVar("Some", bound=Offer)


def each_once(offers: Iterable[Some]) -> list[Some]:
    """Return the offers by name, each thing once."""
    once = {(each.name, each.value): each for each in offers}
    return [once[key] for key in sorted(once)]


def only(offers: Iterable[Some], name: str) -> Some | None:
    """Return what is offered as `name`, or None.

    Raises:
        ParamtoolError: if two owners offer the name.
    """
    found = [each for each in offers if each.name == name]
    if len(found) > 1:
        owners = " and ".join(sorted(each.owner for each in found))
        hint = next((each.remedy for each in found if each.remedy != UNINSTALL), UNINSTALL)
        raise ParamtoolError(f"'{name}' is offered by {owners}", hint=hint)
    return found[0] if found else None
