"""A model whose values are not those of its constructors: rules have filled it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.models.built import BuiltModel
from paramtool.models.torch_import import torch_import

if TYPE_CHECKING:
    from paramtool.network.construction import Network
    from paramtool.operations.initialization.stream_elements import StreamElements
    from paramtool.records.rule import Rule


class Wrapped(BuiltModel):
    """A built model with its values changed; everything else is as in the model it wraps."""

    def __init__(self, inner: BuiltModel) -> None:
        super().__init__(inner.name, inner._tell)
        self.inner = inner
        self.notes = inner.notes
        self.inputs, self.loss, self.dtype, self.seed = inner.inputs, inner.loss, inner.dtype, inner.seed
        self.expectations = inner.expectations
        self.places = inner.places  # type: ignore[method-assign]
        self.prepare = inner.prepare  # type: ignore[method-assign]
        self.unfilled = inner.unfilled  # type: ignore[method-assign]

    def origin_of_values(self) -> str | None:
        """Return what is said of the model inside."""
        return self.inner.origin_of_values()

    def _may_stream(self) -> bool:
        return super()._may_stream() and self.inner._may_stream()


class Initialized(Wrapped):
    """A model with the values that rules leave; they fill the network of the model that it is made of.

    Args:
        inner: the model that is filled.
        rules: from top to bottom.
        is_asked: whether filling is what was asked for.  Otherwise a rule that matches nothing is an
            error, and no answer.
    """

    def __init__(self, inner: BuiltModel, rules: Sequence[Rule], *, is_asked: bool) -> None:
        super().__init__(inner)
        self._filling = tuple(rules)
        self._is_asked = is_asked

    def _build(self, values: bool, rng: str) -> Network:
        built = self.inner.network(values=values, rng=rng)
        if not values:
            return built
        with torch_import():
            from paramtool.operations.initialization.rule_application import initialize
        with self._matching():
            initialize(built.module, self._filling, seed=self.seed, rng=rng, rng_state=built.rng_state)
        self._note_rules(built)
        return built

    def _stream_elements(self, rules: Sequence[Rule] = ()) -> StreamElements | None:
        with self._matching():
            made = self.inner._stream_elements((*self._filling, *rules))
        if made is not None:
            self._note_rules(self.network(values=False))
        return made

    @contextmanager
    def _matching(self) -> Iterator[None]:
        """Make an error of a rule that matches nothing, if there is no answer without it."""
        try:
            yield
        except NothingMatched as error:
            if self._is_asked:
                raise
            raise ParamtoolError(error.message, error.place, error.hint) from error

    def _note_rules(self, built: Network) -> None:
        with torch_import():
            from paramtool.operations.initialization.rule_plan import rule_notes
        self.note(*rule_notes(built.module, self._filling))
