"""One rule of an initialization, wherever it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

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

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        arguments = ", ".join(f"{name}={_written(value)}" for name, value in self.arguments.items())
        return f"{self.initializer}({arguments})"

    @property
    def selector(self) -> str:
        """Write the conditions as on the command line: ``--pattern weight --ndim 2``."""
        given = {name: getattr(self, name) for name in SELECTORS}
        return (
            " ".join(f"--{name} {value}" for name, value in given.items() if value is not None)
            or "everything"
        )


def _written(value: object) -> object:
    """Return a list as rules have it: a spec's reader makes tuples, which torch takes for sizes."""
    return [_written(each) for each in value] if isinstance(value, (list, tuple)) else value
