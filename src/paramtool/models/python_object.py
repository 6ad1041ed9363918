"""An object of Python as a model: a module, a class or a factory that the person named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool.language.document import Inputs
from paramtool.language.python_object import PythonObject
from paramtool.models.built import BuiltModel
from paramtool.models.stream import Stream
from paramtool.models.torch_import import torch_import
from paramtool.network.free_memory import OutOfMemory

if TYPE_CHECKING:
    from paramtool.network.construction import Network


class ObjectModel(BuiltModel):
    """``package.module:object``, whose code runs when first needed, and once if possible.

    Structure is tried on the meta device.  A factory that cannot run there runs again with values, and
    so does one that `init -o` asks for laws, if it has values that follow none.
    """

    kind = "Python"

    def __init__(self, wanted: PythonObject, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(wanted.name, tell)
        self.wanted = wanted
        self.inputs, self.seed = wanted.inputs, wanted.seed
        self._wants_values = False
        self._is_large = False

    def prepare(self) -> None:
        """Build with values at the first question, whatever that is."""
        self._wants_values = True

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Return the live module; a person's code is not run for names that its values also show."""
        is_early = not values and self._wants_values and not self._networks and not self._is_large
        try:
            return super().network(values=values or is_early, rng=rng)
        except OutOfMemory:
            if not is_early:
                raise
        self._is_large = True
        return super().network(values=False)

    def _build(self, values: bool, rng: str) -> Network:
        with torch_import():
            from paramtool.network import python_object
        return python_object.values(self.wanted, rng) if values else python_object.structure(self.wanted)

    def _may_stream(self) -> bool:
        """Return whether the values do not fit in memory: else the code need not run again to find laws."""
        if super()._may_stream() and not self._is_large:
            try:
                self.network()
            except OutOfMemory:
                self._is_large = True
        return self._is_large and super()._may_stream()

    def stream(self, *, rules: bool, rng: str) -> Stream | None:
        """Return the laws by which the constructors fill each tensor, if all are known."""
        del rules
        if rng != "streams":
            return None
        with torch_import():
            from paramtool.network import python_object
            from paramtool.operations.initialization.weights_file import is_known
        built, sketch = python_object.sketch(self.wanted)
        fills = sketch.fills_by_name(built.module)
        if not is_known(built.module, fills):
            self._networks.setdefault("streams" if built.has_values else None, built)
            return None
        return Stream(built, fills=fills)

    def with_seed(self, seed: int) -> ObjectModel:
        """Return the model with initial values drawn from `seed`."""
        return ObjectModel(replace(self.wanted, seed=seed), self._tell)

    def with_inputs(self, inputs: Inputs) -> ObjectModel:
        """Return the model, to be called with `inputs`."""
        return ObjectModel(replace(self.wanted, inputs=inputs), self._tell)
