"""What was read off the installed torch: ``make schema`` writes it, and checks the table against it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from paramtool.language.torch_source import installed_source
from paramtool.structure.unsure import require

FILE = "facts.json"


@dataclass(frozen=True)
class Facts:
    """Facts about the classes of one torch.

    Attributes:
        torch: the version that the table was checked against.
        bases: the class names that each class derives from, itself first, as in ``__mro__``.
        plain: the classes without tensors whose constructors only keep their arguments.
        taken: for each container, the names that its members cannot have; those that begin with ``__`` are
            left out, as no such name is certain.
        itemsizes: bytes of an element, by dtype.
    """

    torch: str
    bases: Mapping[str, tuple[str, ...]]
    plain: frozenset[str]
    taken: Mapping[str, frozenset[str]]
    itemsizes: Mapping[str, int]

    def to_json(self) -> str:
        """Return the text of the shipped file."""
        written = {
            "torch": self.torch,
            "bases": self.bases,
            "plain": sorted(self.plain),
            "taken": {name: sorted(taken) for name, taken in self.taken.items()},
            "itemsizes": self.itemsizes,
        }
        return json.dumps(written, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Return the facts that `text` has."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            data["torch"],
            {name: tuple(bases) for name, bases in data["bases"].items()},
            frozenset(data["plain"]),
            {name: frozenset(taken) for name, taken in data["taken"].items()},
            data["itemsizes"],
        )


@cache
def shipped_facts() -> Facts:
    """Return the facts in this package."""
    return Facts.from_json(files(__package__).joinpath(FILE).read_text("utf-8"))


def check_torch() -> None:
    """Raise `Unsure` if the installed torch is not the one that the table was checked against.

    If none is installed, there is nobody else to ask, and the table answers for its own.

    A torch that this process has imported may also make other dtypes by default.
    """
    source = installed_source()
    require(source is None or source.version == shipped_facts().torch, "another version of torch")
    imported = sys.modules.get("torch")
    if imported is not None:
        default = getattr(imported, "get_default_dtype", None)
        require(default is not None and str(default()) == "torch.float32", "another default dtype")
