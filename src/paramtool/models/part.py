"""The module inside a model that holds all of its names, as ``torch.compile`` and DataParallel wrap one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool.loading.prefix import NoPrefix
from paramtool.models.built import BuiltModel
from paramtool.models.initialized import Wrapped
from paramtool.models.torch_import import torch_import

if TYPE_CHECKING:
    from paramtool.network.construction import Network


class Part(Wrapped):
    """A built model without the prefixes that all of its names have.

    Args:
        inner: the whole model.
        strip: the prefixes, each the path of a module, with or without a dot at the end.

    Raises:
        NoPrefix: if some name has no such prefix.
    """

    def __init__(self, inner: BuiltModel, strip: Sequence[str]) -> None:
        super().__init__(inner)
        self._path = ".".join(each.strip(".") for each in strip)
        names = [row.name for row in inner.listing().rows]
        other = next((name for name in names if not name.startswith(f"{self._path}.")), None)
        if other is not None or not names:
            message = f"{inner.name}: not all names have the prefix '{self._path}.'"
            raise NoPrefix(message, hint=f"one is '{other}'" if other else "it has no names")

    def _build(self, values: bool, rng: str) -> Network:
        built = self.inner.network(values=values, rng=rng)
        with torch_import():
            from paramtool.network.construction import submodule
        return replace(built, module=submodule(built.module, self._path))
