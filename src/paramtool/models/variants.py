"""The models that one can be turned into: with weights, inputs or another seed, or with its rules run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from paramtool.audience import worded
from paramtool.errors import ParamtoolError

if TYPE_CHECKING:
    from paramtool.language.document import Inputs
    from paramtool.models.built import BuiltModel
    from paramtool.models.model import Model
    from paramtool.network.construction import Network


class Variants:
    """Refuses every variant; a kind of model overrides those that it has."""

    name: str

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Return the live module, or say what has one; see `Model`."""
        raise NotImplementedError

    def check_buildable(self) -> BuiltModel:
        """Return the model itself, if it is or becomes a live module.

        Raises:
            CannotAnswer: for one that only describes a module, or holds tensors.
        """
        self.network(values=False)
        raise NotImplementedError

    def with_weights(self, name: str, strip: Sequence[str] = ()) -> Model:
        """Return the model with the checkpoint `name` loaded into it, `strip` taken off its names.

        Raises:
            ParamtoolError: for a model that is not built, or if no name has such a prefix.
        """
        del name, strip
        what = worded("--weights loads", "weights are loaded")
        raise ParamtoolError(f"{what} into a spec or package.module:object; {self.name} is neither")

    def without_prefix(self, strip: Sequence[str]) -> Model:
        """Return the model with prefixes taken off its names.

        Raises:
            ParamtoolError: for a kind of model whose names are fixed, or if no name has such a prefix.
        """
        del strip
        from paramtool.loading.prefix import NoPrefix

        what = worded("--strip-prefix is", "prefixes are")
        raise NoPrefix(f"{what} for checkpoints and modules; {self.name} is neither")

    def with_seed(self, seed: int) -> Model:
        """Return the model with initial values drawn from `seed`.

        Raises:
            ParamtoolError: for a model that has values of its own.
        """
        del seed
        what = worded("--seed", "a seed")
        raise ParamtoolError(f"{what} draws initial values, but {self.name} already has values")

    def with_inputs(self, inputs: Inputs) -> Model:
        """Return the model, to be called with `inputs`.

        Raises:
            CannotAnswer: for a model without a module.
        """
        del inputs
        self.network(values=False)
        raise NotImplementedError
