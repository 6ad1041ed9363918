"""What the kinds of model with a live module have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from paramtool.cores import available_cores
from paramtool.errors import UserCodeFailed
from paramtool.language.tree import TensorNode
from paramtool.models.model import Model
from paramtool.models.stream import Stream
from paramtool.models.torch_import import torch_import
from paramtool.name_parts import prefix

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.loading.answer import Answer
    from paramtool.loading.state_dict import StateDict
    from paramtool.network.construction import Network
    from paramtool.operations.initialization.stream_elements import StreamElements
    from paramtool.operations.rules.outline import Outline
    from paramtool.records.cost import Costs
    from paramtool.records.gradient import Gradients
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing
    from paramtool.records.rule import Rule
    from paramtool.tensors.fills import Fills


class BuiltModel(Model):
    """A model that becomes a live module; what it answers, it answers by that module.

    A subclass says how the module is built.  A network with values serves for structure too.
    """

    is_buildable: ClassVar[bool] = True

    def __init__(self, name: str, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(name, tell)
        self._networks: dict[str | None, Network] = {}  # by rng; None is structure
        self._made: list[StreamElements | None] = []  # one, once it is known
        self._initialized: BuiltModel | None = None

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

    def outline(self) -> Outline | None:
        """Return what rules ask of the model, if that is certain without torch."""
        return None

    def fills(self, outline: Outline, names: Iterable[str]) -> dict[str, Fills]:
        """Return what the constructors fill tensors with, by their first names; for a model with an outline.

        Raises:
            Unsure: if the whole model must be built to know it.
        """
        raise NotImplementedError

    def _may_stream(self) -> bool:
        """Return whether values may be made block by block; what is in memory may have been changed since."""
        return all(key is None for key in self._networks)

    def _stream_elements(self, rules: Sequence[Rule] = ()) -> StreamElements | None:
        """Return what makes the values after `rules` block by block; None if they must be in memory."""
        stream = self._whole_stream(bool(rules))
        if stream is None:
            return None
        with torch_import():
            from paramtool.operations.initialization.stream_elements import stream_elements
        module = stream.network.module
        made = stream_elements(
            module, rules, fills=stream.fills, loaded=stream.loaded, seed=self.seed, warnings=stream.warnings
        )
        if made is not None:
            self._networks.setdefault(None, stream.network)
        return made

    def _whole_stream(self, rules: bool) -> Stream | None:
        """Return how the values of every named tensor are made; `stream` may leave out what is not stored."""
        return self.stream(rules=rules, rng="streams")

    def _streamed(self) -> StreamElements | None:
        """Return what makes the values block by block; None if they are in memory, or must be."""
        if not self._may_stream():
            return None
        if not self._made:
            self._made.append(self._stream_elements())
        return self._made[0]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Make values in one thread of torch for each of ours, and say afterwards what was seen in them."""
        made = self._streamed()
        if made is None:
            yield
            return
        with torch_import():
            from paramtool.tensors.one_thread import one_thread
        try:
            with one_thread():
                yield
        finally:
            made.release()
        self.note(*made.warnings())

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Return every named tensor of the module, or of a submodule."""
        made = self._streamed() if stats or values else None
        built = self.network(values=(stats or values) and made is None)
        with torch_import():
            from paramtool.network.construction import submodule
            from paramtool.network.listing import parameters
        part = submodule(built.module, module) if module else built.module
        jobs = available_cores()
        if made is None:
            return parameters(part, stats=stats, values=values, model=self.name, jobs=jobs)
        from paramtool.elements.measurement import measured

        listed = parameters(part, model=self.name)
        lazy = [row.name for row in listed.rows if row.shape is None]
        with self.reading():
            made = made.part(prefix(module)) if module else made
            return measured(listed, made, stats=stats, values=values, jobs=jobs, missing=lazy)

    @property
    def is_sharded(self) -> bool:
        """Whether the module has been built, and several processes hold it together."""
        if not self._networks:
            return False
        from paramtool.tensors.sharding import has_sharded

        return has_sharded(next(iter(self._networks.values())).module)

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return where the tensors are in memory, and which hold the same bytes if that is asked for."""
        elements = self.elements() if by_value else None
        built = self.network(values=False)
        with torch_import():
            from paramtool.network.layout import layout_of
            from paramtool.tensors.sharded_elements import ShardedElements
        layout = layout_of(built.module, model=self.name)
        if elements is None:
            return layout
        from paramtool.elements.equality import equal_values

        jobs = available_cores()
        if isinstance(elements, ShardedElements):
            elements.prepare()
            jobs = 1
        with self.reading():
            return layout.with_equal(equal_values(layout.readable, elements, jobs=jobs))

    def elements(self) -> Elements:
        """Return the elements of the module, made when they are read if that is possible."""
        made = self._streamed()
        if made is not None:
            return made
        module = self.network().module
        with torch_import():
            from paramtool.tensors.elements import ModuleElements
            from paramtool.tensors.named_tensors import check_values, named_tensors
            from paramtool.tensors.sharded_elements import ShardedElements
        if self.is_sharded:
            return ShardedElements({each.name: each.tensor for each in named_tensors(module)})
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
        return [each.name for each in plan(module, self.rules) if not each.is_filled]

    def gradients(self, **options: Any) -> Gradients:
        """Run the module forward and backward on the inputs that come with it."""
        from paramtool.models.inputs import own_inputs

        with torch_import():
            from paramtool.network.spec_tensors import make_inputs, make_target
            from paramtool.operations.gradients.backpropagation import gradients
            from paramtool.operations.gradients.refusals import check_forward

        self.prepare()
        check_forward(self.network(values=False).module)
        given = make_inputs(own_inputs(self), self.dtype, self.seed)
        options["loss"] = options.get("loss") or self.loss or "sum"
        target = options.get("target")
        if isinstance(target, TensorNode):
            node, has_shape = target, target.stored is not None or target.values is not None
            options["target"] = (
                make_target(node, (), self.dtype, self.seed)
                if has_shape or node.shape is not None
                else lambda shape: make_target(node, shape, self.dtype, self.seed)
            )
        module = self.network().module
        try:
            return gradients(
                module, given.positional, given.named, seed=self.seed, model=self.name, **options
            )
        except UserCodeFailed as error:
            self._point(error)
            raise

    def cost(self, **options: Any) -> Costs:
        """Run the module forward without values, on the inputs that come with it or those given."""
        from paramtool.models.forward_cost import forward_cost

        return forward_cost(self, **options)

    def _point(self, error: UserCodeFailed) -> None:
        """Give an error of a pass the line of the spec that its module stands on."""
        places = self.places() if error.module is not None and error.place is None else None
        if places is not None:
            error.place = places.around(error.module or "")

    def initialized(self, rules: Sequence[Rule] | None = None) -> BuiltModel:
        """Return the model after its rules, which run once; itself if there are none."""
        from paramtool.models.initialized import Initialized

        if rules is None:
            if self.rules and self._initialized is None:
                self._initialized = Initialized(self, self.rules, is_asked=False)
            return self._initialized or self
        return Initialized(self, rules, is_asked=True) if rules else self

    def origin_of_values(self) -> str | None:
        """Return that its own code sets them: initial values, unless it loads some."""
        return f"are those that its code sets with seed {self.seed}"

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
