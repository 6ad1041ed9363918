"""A model with a checkpoint loaded into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool.models.built import BuiltModel
from paramtool.models.initialized import Wrapped
from paramtool.models.module import ModuleModel
from paramtool.models.stream import Stream
from paramtool.models.torch_import import torch_import

if TYPE_CHECKING:
    from paramtool.network.construction import Network


class WithWeights(Wrapped):
    """Any buildable model with a checkpoint in it, whose values take the place of the model's own rules.

    Args:
        inner: what the checkpoint is loaded into.
        weights: the name of the checkpoint.
        strip: prefixes that are taken off its names.

    Raises:
        ParamtoolError: if `weights` is not a checkpoint, or no name has such a prefix.
    """

    def __init__(self, inner: BuiltModel, weights: str, strip: Sequence[str] = ()) -> None:
        from paramtool.models.open import open_checkpoint

        super().__init__(inner)
        self._checkpoint = open_checkpoint(weights)
        if strip:
            from paramtool.loading.prefix import without_prefix

            self._checkpoint = without_prefix(self._checkpoint, strip)
        self.note(*self._checkpoint.notes)

    def _build(self, values: bool, rng: str) -> Network:
        """Build and load; of structure alone, names and shapes are compared."""
        built = self.inner.network(values=values, rng=rng)
        if built in self._networks.values():  # it had values from the start
            return built
        with torch_import():
            from paramtool.network.materialization import materialize
            from paramtool.network.strict_load import load
        if built.has_values and not isinstance(self.inner, ModuleModel):  # that one is the caller's
            materialize(built.module)
        self.note(*load(built.module, self._checkpoint))
        return built

    def origin_of_values(self) -> str | None:
        """Return None: a file has them."""
        return None

    def stream(self, *, rules: bool, rng: str) -> Stream | None:
        """Return what reads each tensor from the checkpoint while it is written."""
        if rules and rng != "streams":
            return None
        built = self.inner.network(values=False)
        with torch_import():
            from paramtool.network.strict_load import LoadedValues
            from paramtool.operations.initialization.rule_plan import has_overlap
            from paramtool.operations.initialization.weights_file import is_plain
        if has_overlap(built.module) or (rules and not is_plain(built.module)):
            return None
        values = LoadedValues(built.module, self._checkpoint)
        if not values.is_mapped:
            return None
        self.note(*values.notes)
        return Stream(built, loaded=values.blocks, warnings=lambda: values.warnings)

    def _whole_stream(self, rules: bool) -> Stream | None:
        """Return the same, with laws for the tensors that no state_dict holds, if there are any."""
        stream = super()._whole_stream(rules)
        if stream is None:
            return None
        with torch_import():
            from paramtool.tensors.named_tensors import named_tensors
        if all(each.is_stored for each in named_tensors(stream.network.module)):
            return stream
        inner = self.inner._whole_stream(rules)
        return None if inner is None else replace(stream, fills=inner.fills)
