"""The network of one model: built once for its structure, once for its values, each note told once."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from paramtool.cli import console
from paramtool.cli.building import build, refuse_weights
from paramtool.cli.quick_import import quick_import
from paramtool.cli.running import filled
from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.models.open import Model, buildable
from paramtool.records.parameter import Listing

if TYPE_CHECKING:
    from paramtool.network.construction import Network


class Construction:
    """Builds what a model describes, for commands that ask for its structure and for its values.

    Args:
        model: what MODEL named.
        weights: a checkpoint that is loaded into it, in place of what rules would fill.

    Raises:
        ParamtoolError: for weights of a model that is not built.
    """

    def __init__(self, model: Model, weights: str | None = None) -> None:
        refuse_weights(model, weights)
        self._model = model
        self._told: set[str] = set()
        self._build = partial(build, model, weights=weights, tell=self._tell)
        self._has_weights = weights is not None

    @cached_property
    def structure(self) -> Network:
        """Names and shapes only; those of the weights are compared with them."""
        return self._build(values=False)

    @cached_property
    def filled(self) -> Network:
        """The network with the values of the weights; without these, as `init` would leave it.

        Raises:
            ParamtoolError: also where a rule of the spec matches nothing, which is no answer here.
        """
        built = self._build(values=True)
        source = buildable(self._model)
        if self._has_weights:
            return built
        try:
            return filled(source, built, source.rules)
        except NothingMatched as error:
            raise ParamtoolError(error.message, error.place, error.hint) from error

    def listing(self, *, stats: bool = False) -> Listing:
        """Return every named tensor, with the statistics of its values if these are asked for."""
        built = self.filled if stats else self.structure
        with quick_import():
            from paramtool.network.listing import parameters
        return parameters(built.module, stats=stats, model=self._model.name)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            console.note(text)
        self._told.add(text)
