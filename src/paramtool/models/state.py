"""A state_dict in memory as a model: named tensors, of which nobody says what module they are from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from paramtool.cores import available_cores
from paramtool.models.model import Model
from paramtool.name_parts import modules_of
from paramtool.operations.listing.checkpoint import no_module

if TYPE_CHECKING:
    from torch import Tensor

    from paramtool.elements.elements import Elements
    from paramtool.loading.state_dict import StateDict
    from paramtool.network.construction import Network
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing


class StateModel(Model):
    """Tensors by their names, as ``module.state_dict()`` returns them."""

    def __init__(
        self, state: Mapping[str, Tensor], name: str, tell: Callable[[str], object] | None = None
    ) -> None:
        super().__init__(name, tell)
        self.state = state

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        from paramtool.elements.measurement import measured
        from paramtool.network.listing import state_listing
        from paramtool.tensors.elements import TensorElements

        state = self.state if module is None else _below(self.state, module)
        report = state_listing(state, self.name)
        if not (stats or values):
            return report
        if self.is_sharded:
            from paramtool.network.listing import measured_together

            return measured_together(report, state, stats=stats, values=values, jobs=available_cores())
        elements = TensorElements(state)
        return measured(report, elements, stats=stats, values=values, jobs=available_cores())

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return where the tensors are in memory."""
        from paramtool.network.layout import state_layout

        return state_layout(self.state, model=self.name, by_value=by_value)

    def state_dict(self) -> StateDict:
        """Return the keys, with the versions that ``_metadata`` says."""
        from paramtool.network.load_answer import state_of

        return state_of(self.state)

    @property
    def is_sharded(self) -> bool:
        """Whether several processes hold the tensors together."""
        from paramtool.tensors.sharding import has_sharded

        return has_sharded(self.state)

    def elements(self) -> Elements:
        """Return the elements of the tensors themselves."""
        if self.is_sharded:
            from paramtool.tensors.sharded_elements import ShardedElements

            return ShardedElements(self.state)
        from paramtool.tensors.elements import TensorElements

        return TensorElements(self.state)

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Refuse: tensors say nothing of a forward."""
        del values, rng
        self._refuse("is a state_dict, not a module", "load it into its module first")

    def module_paths(self) -> Iterable[str]:
        """Return the modules in the names."""
        return modules_of(self.state)


def _below(state: Mapping[str, Tensor], module: str) -> dict[str, Tensor]:
    start = f"{module}."
    found = {name[len(start) :]: tensor for name, tensor in state.items() if name.startswith(start)}
    if not found:
        raise no_module(module, state)
    return found
