"""An opened MODEL: what every kind answers, and the errors for kinds that cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from paramtool.audience import worded
from paramtool.errors import CannotAnswer, ParamtoolError
from paramtool.models.variants import Variants

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.language.document import Inputs
    from paramtool.loading.answer import Answer
    from paramtool.loading.state_dict import StateDict
    from paramtool.network.construction import Network
    from paramtool.operations.comparison.places import Places
    from paramtool.records.checkpoints import Checkpoints
    from paramtool.records.contents import ContentRow, Contents
    from paramtool.records.cost import Costs
    from paramtool.records.definitions import Definitions
    from paramtool.records.expectation import Expectation
    from paramtool.records.gradient import Gradients
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing
    from paramtool.records.rule import Rule


class Model(Variants):
    """A spec, a module, a checkpoint or a snapshot that is open, and answers for itself.

    What a kind cannot answer raises `CannotAnswer`, which names what would.  Nothing is built, run or
    read before it is asked for, and then only once.

    Attributes:
        name: what it is called in messages and reports: the path that was given.
        kind: what it is, for a table of several: ``spec``, ``snapshot``, ``Python``.
        is_buildable: whether it can become a live module, so that rules and weights may act on it.
        rules: the initialization that comes with it.
        inputs: what its forward is called with; None if nobody said.
        loss: the loss that comes with it; None if nobody said.
        dtype: of floating-point inputs; None for torch's default.
        seed: of initial values.
        expectations: its expectations.
        contents: what its files hold beside the tensors that are listed.
        notes: everything that was worth a word while it was opened, built or read.
    """

    is_buildable: ClassVar[bool] = False
    kind: ClassVar[str] = ""

    rules: tuple[Rule, ...] = ()
    inputs: Inputs | None = None
    loss: str | None = None
    dtype: str | None = None
    seed: int = 0
    expectations: tuple[Expectation, ...] = ()
    contents: tuple[ContentRow, ...] = ()

    def __init__(self, name: str, tell: Callable[[str], object] | None = None) -> None:
        self.name = name
        self.notes: list[str] = []
        self._tell = tell
        self._listings: dict[tuple[str | None, bool, bool], Listing] = {}
        self._representatives: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _repr_html_(self) -> str | None:
        """Return the listing as a notebook shows it; None, so that it shows `repr`, if there is none."""
        try:
            return self.listing()._repr_html_()
        except ParamtoolError:
            return None

    def note(self, *texts: str) -> None:
        """Say each of `texts` once, however often it is found out."""
        for text in texts:
            if text not in self.notes:
                self.notes.append(text)
                if self._tell is not None:
                    self._tell(text)

    def listing(self, *, module: str | None = None, stats: bool = False, values: bool = False) -> Listing:
        """Return every named tensor; found out once.

        Args:
            module: list only what is below this dotted path, with names relative to it.
            stats: add mean, std, min, max, norm, counts of zeros, NaN and infinity, and a histogram.
            values: add the elements.

        Raises:
            CannotAnswer: if there are no statistics or values.
            ParamtoolError: if it cannot be built or read, or has no such submodule.
        """
        key = (module, stats, values)
        if key not in self._listings:
            self._listings[key] = self._list(module, stats, values)
        return self._listings[key]

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        raise NotImplementedError

    def representatives(self) -> Mapping[str, str]:
        """Return the name that stands for all names that share, by each name that does; found out once."""
        if self._representatives is None:
            from paramtool.operations.sharing.groups import representatives, share

            self._representatives = representatives(share(self.layout()))
        return self._representatives

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return where the tensors are in memory; with `by_value` also which hold the same bytes.

        Raises:
            CannotAnswer: if there are no values to compare.
            ParamtoolError: if it cannot be built or read.
        """
        raise NotImplementedError

    def elements(self) -> Elements:
        """Return what reads the elements of each tensor block by block, in bounded memory.

        Raises:
            CannotAnswer: if there are none.
            ParamtoolError: if it cannot be built or read.
        """
        self._refuse("has no values to compare", "a spec, a checkpoint or package.module:object has values")

    @property
    def is_sharded(self) -> bool:
        """Whether several processes hold it together: they ask together, and hear the same."""
        return False

    def reading(self) -> AbstractContextManager[None]:
        """Return what surrounds every reading of `elements`."""
        return nullcontext()

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Return the live module, built when first needed.

        Args:
            values: with values on the CPU; else names and shapes are enough, on the meta device.
            rng: ``streams`` or ``torch``: where random initial values come from.

        Raises:
            CannotAnswer: for a snapshot, which is not a module.
            ParamtoolError: if it cannot be built.
        """
        raise NotImplementedError

    def prepare(self) -> None:
        """Say beforehand that values will be asked for, so that a user's code runs once for all."""

    def gradients(self, **options: Any) -> Gradients:
        """Run forward and backward; see `paramtool.gradients`.

        Raises:
            CannotAnswer: for a model without a module.
            ParamtoolError: if there is no input, or a pass fails.
        """
        del options
        self.network()
        raise NotImplementedError

    def cost(self, **options: Any) -> Costs:
        """Run forward without values, and add up what that computes and keeps; see `paramtool.cost`.

        Raises:
            CannotAnswer: for a model without a module.
            ParamtoolError: if there is no input, or the forward fails.
        """
        del options
        self.network(values=False)
        raise NotImplementedError

    def hint_of_input(self, argument: str = "inputs=[...]") -> str:
        """Return how to give the model an input; `argument` is what a caller in Python writes."""
        from paramtool.operations.listing.likely_input import how_to_give

        return how_to_give(self.listing().rows, in_spec=self.places() is not None, argument=argument)

    def unfilled(self) -> list[str]:
        """Return the names of the tensors that no rule of the model fills."""
        self.network()
        raise NotImplementedError

    def initialized(self, rules: Sequence[Rule] | None = None) -> Model:
        """Return the model with the values that rules leave: what `init` would write.

        Args:
            rules: None for those that come with the model; a rule of these that matches nothing is an
                error, since there is no answer then.
        """
        del rules
        return self

    def origin_of_values(self) -> str | None:
        """Return where its values come from, for a note, if they are initial ones; None if from a file."""
        return None

    def places(self) -> Places | None:
        """Return where each part of the model is written; None if it is not written in a spec."""
        return None

    def state_dict(self) -> StateDict:
        """Return what ``state_dict()`` holds, without the elements.

        Raises:
            ParamtoolError: where it cannot be built or read.
        """
        from paramtool.loading.state_dict import of_listing

        listed = self.listing()
        return of_listing(listed, listed.rows, self.mapped_names())

    def load_answer(self, state: StateDict) -> Answer:
        """Return what ``load_state_dict(state, strict=True)`` says.

        Raises:
            ParamtoolError: where it cannot be built or read.
        """
        from paramtool.loading.prediction import predicted

        return predicted(state, self.listing(), self.mapped_names())

    def mapped_names(self) -> list[str]:
        """Return the names that a file only maps to another: torch.save stores them, safetensors does not."""
        return []

    def module_paths(self) -> Iterable[str]:
        """Return the paths of modules to suggest, if they are known without building anything."""
        return ()

    def inside(self) -> Contents:
        """Return what its files hold beside the tensors that are listed, and their metadata.

        Raises:
            CannotAnswer: for what is not a checkpoint.
        """
        hint = worded("without --contents its tensors are listed", "listing() returns its tensors")
        self._refuse("is not a checkpoint, which has contents", hint)

    def overview(self, *, for_people: bool) -> Contents | Checkpoints | Definitions | None:
        """Return what there is to see where no tensors can be listed; None where they can.

        Args:
            for_people: whether a person reads it; a program gets the fields that it asked for, if it can.
        """
        del for_people
        return None

    def members(self) -> Sequence[str] | None:
        """Return the names of the models that this one only lists; None for a model of its own."""
        return None

    def verify(self) -> None:
        """Compare the stored bytes with their checksums, or check the structure of the files.

        Raises:
            ParamtoolError: where something is wrong, or there is nothing to check.
        """
        raise ParamtoolError(
            f"{self.name} has no checksums to verify", hint="archives of torch.save have them"
        )

    def _refuse(self, what: str, hint: str | None = None) -> NoReturn:
        raise CannotAnswer(f"{self.name} {what}", hint=hint)
