"""One rule of an initialization, wherever it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from paramtool.audience import worded
from paramtool.errors import BadArgument
from paramtool.place import Place

SELECTORS = ("pattern", "name", "module", "exclude", "type", "ndim")
"""The conditions of a rule, which all hold."""


@dataclass(frozen=True)
class Rule:
    """Fill the parameters that the selector matches.

    Attributes:
        initializer: a name of torch.nn.init without its ``_``, of this tool, or of a plugin.
        arguments: by name.
        place: where it is written; None for a rule made in Python.
        pattern, exclude: regular expressions searched in the name.
        name: the whole name.
        module: the path of a module that the parameter is in.
        type: the class of the module that owns the parameter.
        ndim: the number of dimensions.
    """

    initializer: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None
    pattern: str | None = None
    exclude: str | None = None
    type: str | None = None
    ndim: int | None = None
    name: str | None = None
    module: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no rule can have, wherever it was made.

        Raises:
            BadArgument: with the name of the attribute.
        """
        for name in ("initializer", "pattern", "exclude", "type", "name", "module"):
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name == "initializer"):
                raise BadArgument(f"{name} of a Rule must be a string, got {_kind(value)}")
        if self.ndim is not None and (isinstance(self.ndim, bool) or not isinstance(self.ndim, int)):
            raise BadArgument(f"ndim of a Rule must be an integer, got {_kind(self.ndim)}")
        if not isinstance(self.arguments, Mapping):
            raise BadArgument(f"arguments of a Rule must be a mapping, got {_kind(self.arguments)}")
        if not all(isinstance(each, str) for each in self.arguments):
            raise BadArgument("the names in the arguments of a Rule must be strings")

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        arguments = ", ".join(f"{name}={_written(value)}" for name, value in self.arguments.items())
        return f"{self.initializer}({arguments})"

    @property
    def conditions(self) -> str:
        """Write the conditions as the reader of a message does: as options, or ``pattern='weight'``."""
        given = {name: getattr(self, name) for name in SELECTORS}
        written = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
        return worded(self.selector, f"a Rule with {written}" if written else "everything")

    @property
    def selector(self) -> str:
        """Write the conditions as on the command line: ``--pattern weight --ndim 2``."""
        given = {name: getattr(self, name) for name in SELECTORS}
        return (
            " ".join(f"--{name} {value}" for name, value in given.items() if value is not None)
            or "everything"
        )


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


def _written(value: object) -> object:
    """Return a list as rules have it: a spec's reader makes tuples, which torch takes for sizes."""
    return [_written(each) for each in value] if isinstance(value, (list, tuple)) else value
