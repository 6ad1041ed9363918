"""A spec as a model: built by torch from what the file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool.language.document import Inputs, Spec
from paramtool.models.built import BuiltModel, Stream
from paramtool.models.torch_import import torch_import
from paramtool.operations.comparison.places import Places

if TYPE_CHECKING:
    from paramtool.network.construction import Network


class SpecModel(BuiltModel):
    """What a model.yaml says; its errors were found when it was opened."""

    def __init__(self, spec: Spec, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(spec.name, tell)
        self.spec = spec
        self.rules, self.inputs, self.loss = spec.rules, spec.inputs, spec.loss
        self.dtype, self.seed, self.expectations = spec.dtype, spec.seed, spec.expectations

    def _build(self, values: bool, rng: str) -> Network:
        with torch_import():
            from paramtool.network import construction
        if not values:
            return construction.structure(self.spec)
        construction.check_memory(self.network(values=False).module)
        return construction.values(self.spec, rng)

    def stream(self, *, rules: bool, rng: str) -> Stream | None:
        """Return the laws by which torch's constructors fill each tensor, where all are known."""
        del rules
        with torch_import():
            from paramtool.network import construction
            from paramtool.operations.initialization.weights_file import is_known
        built, sketch = construction.sketch(self.spec)
        if rng != "streams" or not is_known(built.module, sketch.fills_of):
            self._networks.setdefault(None, built)
            return None
        self.note(*built.notes)
        return Stream(built, fills_of=sketch.fills_of)

    def with_seed(self, seed: int) -> SpecModel:
        """Return the model with initial values drawn from `seed`."""
        return SpecModel(replace(self.spec, seed=seed), self._tell)

    def with_inputs(self, inputs: Inputs) -> SpecModel:
        """Return the model, to be called with `inputs`; lazy modules take their shapes from them."""
        return SpecModel(replace(self.spec, inputs=inputs), self._tell)

    def places(self) -> Places:
        """Return where the spec writes each module, tensor, tie and frozen pattern."""
        with torch_import():
            from paramtool.network.construction import places
        return Places(
            places(self.spec),
            {tie.name.text: tie.name.place for tie in self.spec.ties},
            tuple((each.text, each.place) for each in self.spec.freeze),
        )
