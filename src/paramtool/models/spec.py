"""A spec as a model: built by torch from what the file says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool import structure
from paramtool.errors import ParamtoolError
from paramtool.language.document import Inputs, Spec
from paramtool.models.built import BuiltModel
from paramtool.models.model import Model
from paramtool.models.stream import Stream
from paramtool.models.torch_import import torch_import
from paramtool.operations.comparison.places import Places
from paramtool.operations.listing.snapshot import remembered
from paramtool.place import Place
from paramtool.records.layout import Layout
from paramtool.records.parameter import Listing
from paramtool.structure.unsure import Unsure, require

if TYPE_CHECKING:
    from paramtool.loading.answer import Answer
    from paramtool.loading.state_dict import StateDict
    from paramtool.network.construction import Network
    from paramtool.operations.rules.outline import Outline
    from paramtool.tensors.fills import Fills


class SpecModel(BuiltModel):
    """What a model.yaml says; its errors were found when it was opened."""

    kind = "spec"

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

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Return what a table of torch.nn says, if that is certain and no values are asked for."""
        if not (stats or values or self._networks):
            with suppress(Unsure, ParamtoolError):
                report = structure.listing(self.spec, self.name)
                return remembered(report, self.name, module=module) if module else report
        return super()._list(module, stats, values)

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return what a table of torch.nn says, if that is certain and no values are asked for."""
        if not (by_value or self._networks):
            with suppress(Unsure):
                return structure.layout(self.spec, self.name)
        return super().layout(by_value=by_value)

    def outline(self) -> Outline | None:
        """Return what a table of torch.nn says, if that is certain and nothing is built yet."""
        from paramtool.operations.rules.outline import Outline

        if not self._networks:
            with suppress(Unsure):
                return Outline(*structure.whole(self.spec, self.name))
        return None

    def unfilled(self) -> list[str]:
        """Plan with what a table of torch.nn says, if that is certain."""
        outline = self.outline()
        with suppress(Unsure):
            if outline is not None:
                return [each.name for each in outline.plan(self.rules) if not each.is_filled]
        return super().unfilled()

    def state_dict(self) -> StateDict:
        """Return what a table of torch.nn says, if that is certain."""
        if self._is_certain():
            return Model.state_dict(self)
        return super().state_dict()

    def load_answer(self, state: StateDict) -> Answer:
        """Answer by the rules of torch.nn, if a table of its classes is certain."""
        if self._is_certain():
            return Model.load_answer(self, state)
        return super().load_answer(state)

    def _is_certain(self) -> bool:
        """Return whether all modules are torch.nn's own that load without hooks; torch is then not needed."""
        self.listing()
        return not self._networks

    def module_paths(self) -> Iterable[str]:
        """Return the modules of the spec, also for another torch; nothing if only torch knows."""
        with suppress(Unsure):
            return structure.suggestions(self.spec)
        return ()

    def stream(self, *, rules: bool, rng: str) -> Stream | None:
        """Return the laws by which torch's constructors fill each tensor, if all are known."""
        del rules
        with torch_import():
            from paramtool.network import construction
            from paramtool.operations.initialization.weights_file import is_known
        built, sketch = construction.sketch(self.spec)
        fills = sketch.fills_by_name(built.module)
        if rng != "streams" or not is_known(built.module, fills):
            self._networks.setdefault(None, built)
            return None
        self.note(*built.notes)
        return Stream(built, fills=fills)

    def fills(self, outline: Outline, names: Iterable[str]) -> dict[str, Fills]:
        """Return what torch's constructors fill the tensors called `names` with, each call built once.

        Raises:
            Unsure: if the whole spec must be built to know it.
        """
        require(all(name in outline.sources for name in names), "a tensor that several calls make")
        sources = {name: outline.sources[name] for name in names}
        calls = {id(call): call for call, _ in sources.values()}
        with torch_import():
            from paramtool.network.construction import fills_of_calls
            from paramtool.tensors.fills import Fills
        known = fills_of_calls(list(calls.values()), self.dtype)
        found = {}
        for name, (call, local) in sources.items():
            fills = known[id(call)].get(local)
            if fills is None or fills.name != local:
                raise Unsure("a fill that is not known")
            found[name] = Fills(name, fills.steps)
        return found

    def with_seed(self, seed: int) -> SpecModel:
        """Return the model with initial values drawn from `seed`."""
        return SpecModel(replace(self.spec, seed=seed), self._tell)

    def with_inputs(self, inputs: Inputs) -> SpecModel:
        """Return the model, to be called with `inputs`; lazy modules take their shapes from them."""
        return SpecModel(replace(self.spec, inputs=inputs), self._tell)

    def origin_of_values(self) -> str | None:
        """Return that they are drawn from its seed, and whether rules fill some."""
        return f"are initial ones: seed {self.seed}{', after its init' if self.rules else ''}"

    def places(self) -> Places:
        """Return where the spec writes each module, tensor, tie and frozen pattern."""
        return Places(
            self._written(),
            {tie.name.text: tie.name.place for tie in self.spec.ties},
            tuple((each.text, each.place) for each in self.spec.freeze),
        )

    def _written(self) -> dict[str, Place]:
        with suppress(Unsure):
            return structure.places(self.spec)
        with torch_import():
            from paramtool.network.construction import places
        return places(self.spec)
