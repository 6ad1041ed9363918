"""What the kinds of model with a live module have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from paramtool.cores import available_cores
from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.models.model import Model
from paramtool.models.torch_import import torch_import

if TYPE_CHECKING:
    from torch import Tensor

    from paramtool.elements.elements import Elements
    from paramtool.loading.answer import Answer
    from paramtool.loading.state_dict import StateDict
    from paramtool.network.construction import Network
    from paramtool.records.gradient import Gradients
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing
    from paramtool.records.rule import Rule
    from paramtool.tensors.fills import Fills


@dataclass(frozen=True)
class Stream:
    """The values of a network that can be written block by block, without being in memory first.

    Attributes:
        network: names and shapes, on the meta device.
        fills: what fills each tensor, by its names; None if `loaded` reads it.
        loaded: yields the elements of a tensor, by its first name; None if `fills` says all.
        warnings: what there is to say after everything was read.
    """

    network: Network
    fills: Mapping[str, Fills] | None = None
    loaded: Callable[[str], Iterator[Tensor]] | None = None
    warnings: Callable[[], list[str]] = list


class BuiltModel(Model):
    """A model that becomes a live module; what it answers, it answers by that module.

    A subclass says how the module is built.  A network with values serves for structure too.
    """

    is_buildable: ClassVar[bool] = True

    def __init__(self, name: str, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(name, tell)
        self._networks: dict[str | None, Network] = {}  # by rng; None is structure

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Return the live module, built once."""
        if not values and self._networks:
            return next(iter(self._networks.values()))
        key = rng if values else None
        if key not in self._networks:
            built = self._build(values, rng)
            self.note(*built.notes)
            self._networks[rng if built.has_values else key] = built
            return built
        return self._networks[key]

    def _build(self, values: bool, rng: str) -> Network:
        raise NotImplementedError

    def stream(self, *, rules: bool, rng: str) -> Stream | None:  # noqa: ARG002 - a subclass asks
        """Return how the values are made block by block; None if they must be in memory.

        Args:
            rules: whether rules will act on them.
            rng: where random numbers come from.
        """
        return None

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Return every named tensor of the module, or of a submodule."""
        built = self.network(values=stats or values)
        with torch_import():
            from paramtool.network.construction import submodule
            from paramtool.network.listing import parameters
        part = submodule(built.module, module) if module else built.module
        return parameters(part, stats=stats, values=values, model=self.name, jobs=available_cores())

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return where the tensors are in memory, and which hold the same bytes if that is asked for."""
        built = self.network(values=by_value)
        with torch_import():
            from paramtool.network.layout import layout_of
        return layout_of(built.module, model=self.name, by_value=by_value)

    def elements(self) -> Elements:
        """Return the elements of the module."""
        module = self.network().module
        with torch_import():
            from paramtool.tensors.elements import ModuleElements
            from paramtool.tensors.named_tensors import check_values
        check_values(module)
        return ModuleElements(module)

    def state_dict(self) -> StateDict:
        """Return what the module's own ``state_dict()`` holds."""
        module = self.network(values=False).module
        with torch_import():
            from paramtool.network.load_answer import saved
        return saved(module)

    def load_answer(self, state: StateDict) -> Answer:
        """Ask torch, on a copy of the module without values."""
        module = self.network(values=False).module
        with torch_import():
            from paramtool.network.load_answer import ask
        loaded = ask(module, state)
        if loaded.failure is not None:
            what = f"loading into {self.name} needs values, so the names alone are compared"
            self.note(f"{what}: {loaded.failure}")
        return loaded.answer

    def unfilled(self) -> list[str]:
        """Return the names of the tensors that no rule of the model fills."""
        module = self.network(values=False).module
        with torch_import():
            from paramtool.operations.initialization.rule_plan import plan
        targets = plan(module, self.rules)
        return [
            each.name
            for each in targets
            if not (each.is_covered or any(step.replaces for step in each.steps))
        ]

    def gradients(self, **options: Any) -> Gradients:
        """Run the module forward and backward on the inputs that come with it."""
        with torch_import():
            from paramtool.network.spec_tensors import make_inputs
            from paramtool.operations.gradients.backpropagation import gradients
            from paramtool.operations.gradients.refusals import check_forward

        self.prepare()
        check_forward(self.network(values=False).module)
        if self.inputs is None:
            hint = "'input: {shape: [2, 4]}' in the spec, or --input 2,4"
            raise ParamtoolError(f"{self.name} has no input to run on", hint=hint)
        given = make_inputs(self.inputs, self.dtype, self.seed)
        options["loss"] = options.get("loss") or self.loss or "sum"
        module = self.network().module
        return gradients(module, given.positional, given.named, seed=self.seed, model=self.name, **options)

    def initialized(self, rules: Sequence[Rule] | None = None) -> BuiltModel:
        """Return the model after its rules; itself if there are none."""
        if rules is None:
            return Initialized(self, self.rules, is_asked=False) if self.rules else self
        return Initialized(self, rules, is_asked=True) if rules else self

    def check_buildable(self) -> BuiltModel:
        """Return the model itself."""
        return self

    def with_weights(self, name: str, strip: Sequence[str] = ()) -> Model:
        """Return the model with a checkpoint loaded into it, in place of the values that rules would fill."""
        from paramtool.models.weights import WithWeights

        if not strip:
            return WithWeights(self, name)
        from paramtool.loading.prefix import NoPrefix
        from paramtool.models.part import Part

        try:
            return WithWeights(self, name, strip)
        except NoPrefix as error:
            try:  # it may be the model that has the prefix
                inside = Part(self, strip)
            except NoPrefix:
                raise error from None
            return WithWeights(inside, name)

    def without_prefix(self, strip: Sequence[str]) -> Model:
        """Return the module inside that has all names, such as the one that ``torch.compile`` wraps."""
        from paramtool.models.part import Part

        return Part(self, strip)


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
            from paramtool.operations.initialization.rule_plan import rule_notes
        try:
            initialize(built.module, self._filling, seed=self.seed, rng=rng, rng_state=built.rng_state)
        except NothingMatched as error:
            if self._is_asked:
                raise
            raise ParamtoolError(error.message, error.place, error.hint) from error
        self.note(*rule_notes(built.module, self._filling))
        return built
