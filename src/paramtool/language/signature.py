"""What a torch class or function takes: names, types and defaults, as ``in_features: int``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from paramtool.language import notation

_ARGUMENT = re.compile(r"(?P<name>\w+)(: (?P<type>.+?))?( = (?P<default>.+))?")


@dataclass(frozen=True)
class Argument:
    """One argument; `default` is its text, None if the argument is required."""

    name: str
    type: str = "any"
    default: str | None = None
    keyword_only: bool = False

    @property
    def required(self) -> bool:
        return self.default is None

    @property
    def parsed_type(self) -> notation.Union:
        return notation.parse(self.type)

    def __str__(self) -> str:
        default = f" = {self.default}" if self.default is not None else ""
        return f"{self.name}: {self.type}{default}"


@dataclass(frozen=True)
class Signature:
    """The arguments of `name` in order."""

    name: str
    arguments: tuple[Argument, ...]

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        return f"{self.name}({', '.join(self.written())})"

    def written(self) -> list[str]:
        """Return the arguments as text, with ``*`` before the keyword-only ones."""
        words = [str(argument) for argument in self.arguments]
        first = next((i for i, argument in enumerate(self.arguments) if argument.keyword_only), None)
        if first is not None:
            words.insert(first, "*")
        return words

    @property
    def positional(self) -> tuple[Argument, ...]:
        return tuple(argument for argument in self.arguments if not argument.keyword_only)

    def argument(self, name: str) -> Argument | None:
        return next((argument for argument in self.arguments if argument.name == name), None)

    @classmethod
    def read(cls, name: str, written: Iterable[str]) -> Signature:
        """Return the signature that `written` gave (see the method of that name)."""
        arguments = []
        keyword_only = False
        for word in written:
            if word == "*":
                keyword_only = True
                continue
            found = _ARGUMENT.fullmatch(word)
            if found is None:
                raise ValueError(f"cannot read the argument {word!r} of {name}")
            arguments.append(Argument(found["name"], found["type"] or "any", found["default"], keyword_only))
        return cls(name, tuple(arguments))
