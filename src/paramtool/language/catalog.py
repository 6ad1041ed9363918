"""Every name that a spec may use of torch: module classes and dtypes.

The catalogue ships as a file made from torch's own signatures (``make schema``), so that a spec is
checked, and its schema printed, without importing torch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from paramtool.language.signature import Signature

FILE = "catalog.json"

Fit: TypeAlias = Callable[[Signature], bool]


def anything(_: Signature) -> bool:
    """Accept every signature."""
    return True


@dataclass(frozen=True)
class Catalog:
    """The signatures of one torch version, written as text until they are asked for."""

    torch: str
    modules: Mapping[str, list[str]]
    dtypes: tuple[str, ...]
    float_dtypes: tuple[str, ...]

    def module(self, name: str, takes: Fit = anything) -> Signature | None:  # noqa: ARG002 - of one version
        """Return the signature of the torch.nn class `name`, or None.

        Args:
            name: the class, without ``torch.nn.``.
            takes: whether a signature takes what a spec gives; a catalogue that knows of several
                versions of torch returns the first that does.
        """
        written = self.modules.get(name)
        return None if written is None else _signature(name, tuple(written))

    def to_json(self) -> str:
        return json.dumps(vars(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Catalog:
        data: dict[str, Any] = json.loads(text)
        data.update(dtypes=tuple(data["dtypes"]), float_dtypes=tuple(data["float_dtypes"]))
        return cls(**data)


@cache
def shipped() -> Catalog:
    """Return the catalogue in this package."""
    return Catalog.from_json(files(__package__).joinpath(FILE).read_text("utf-8"))


@cache
def _signature(name: str, written: tuple[str, ...]) -> Signature:
    return Signature.read(name, written)
