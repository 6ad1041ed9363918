"""What a MODEL can tell of itself, built or read where it is first asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from paramtool.cli.construction import Construction
from paramtool.cli.laying_out import laid_out
from paramtool.cli.listing import list_model
from paramtool.cli.quick_import import quick_import
from paramtool.cli.running import run
from paramtool.errors import ParamtoolError
from paramtool.models.open import Buildable, Model, buildable, open_model
from paramtool.models.snapshot import Snapshot
from paramtool.operations.expectations.evidence import CannotTell
from paramtool.place import Place
from paramtool.records.parameter import Listing

_WRITE = "'paramtool inspect MODEL --json > {}' writes one"


class ModelEvidence:
    """What a model tells: of its structure without a value, of its values as `init` would leave them.

    Args:
        model: what MODEL named.
        weights: a checkpoint to load into a spec or object, whose values are then those of the model.

    Raises:
        ParamtoolError: for weights of a model that is not built.
    """

    def __init__(self, model: Model, weights: str | None = None) -> None:
        self._model = model
        self._construction = Construction(model, weights)

    @cached_property
    def listing(self) -> Listing:
        return list_model(self._model) if self._is_listed else self._construction.listing()

    @cached_property
    def statistics(self) -> Listing:
        """Return the statistics of what is stored or loaded, or else drawn and filled by a spec's rules."""
        if not self._is_listed:
            return self._construction.listing(stats=True)
        try:
            return list_model(self._model, stats=True)
        except ParamtoolError as error:
            if not isinstance(self._model, Snapshot):
                raise
            raise CannotTell(error.message, hint=error.hint) from error

    @cached_property
    def sharing(self) -> Mapping[str, str]:
        from paramtool.operations.sharing.groups import representatives, share

        if self._is_listed:
            return representatives(share(laid_out(self._model)[0]))
        with quick_import():
            from paramtool.network.layout import layout_of
        return representatives(share(layout_of(self._construction.structure.module)))

    @cached_property
    def unfilled(self) -> Collection[str]:
        source = self._source()
        with quick_import():
            from paramtool.operations.initialization.rule_plan import plan
        targets = plan(self._construction.structure.module, source.rules)
        return [each.name for each in targets if not any(step.replaces for step in each.steps)]

    @cached_property
    def verdicts(self) -> Mapping[str, str]:
        """Return the verdicts after one pass over the spec's input, from its loss or else the sum."""
        spec = self._source()
        if spec.inputs is None:
            raise CannotTell(
                f"{spec.name} has no input to run on", hint="a spec has, as in input: {shape: [2, 4]}"
            )
        report = run(spec, lambda: self._construction.filled, by_use=False, values=False)
        return {row.name: row.verdict for row in report.rows if row.kind == "parameter" and row.verdict}

    def differences(self, snapshot: str, place: Place) -> Sequence[str]:
        from paramtool.operations.comparison.differences import differences
        from paramtool.render.difference_text import sentence

        return [sentence(row) for row in differences(_listed(snapshot, place), self.listing).rows]

    @property
    def _is_listed(self) -> bool:
        """Whether the model is a file that says what a module has."""
        return not isinstance(self._model, Buildable)

    def _source(self) -> Buildable:
        try:
            return buildable(self._model)
        except ParamtoolError as error:
            raise CannotTell(error.message, hint=error.hint) from error


def _listed(name: str, place: Place) -> Listing:
    """Return what a model in a file has.

    A spec, which a stranger may have written, names a snapshot below its own folder and nothing else,
    and no complaint quotes the file.  What a person typed may be any MODEL.
    """
    if place.text.is_option:
        return list_model(open_model(name))
    folder = Path(place.text.name).parent
    path = folder / name
    if not path.is_file():
        raise ParamtoolError(f"there is no file {path}", place, _WRITE.format(path))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ParamtoolError(f"{path} leads out of the spec's own folder", place)
    try:
        opened = open_model(str(path))
    except ParamtoolError:
        opened = None
    if not isinstance(opened, Snapshot):
        raise ParamtoolError(f"{path} is no snapshot", place, _WRITE.format(path))
    return list_model(opened)
