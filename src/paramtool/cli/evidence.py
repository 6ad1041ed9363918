"""What a MODEL can tell of itself, built or read where it is first asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from paramtool.cli.laying_out import laid_out
from paramtool.cli.listing import list_model
from paramtool.cli.quick_import import quick_import
from paramtool.cli.running import filled, run
from paramtool.errors import ParamtoolError
from paramtool.operations.expectations.evidence import CannotTell
from paramtool.place import Place
from paramtool.records.parameter import Listing
from paramtool.sources.model import Buildable, Model, buildable, open_model
from paramtool.sources.snapshot import Snapshot
from paramtool.sources.spec.document import Spec

if TYPE_CHECKING:
    from paramtool.sources.build.network import Network

_WRITE = "'paramtool inspect MODEL --json > {}' writes one"


class ModelEvidence:
    """What a model tells: of its structure without a value, of its values as `init` would leave them."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._network: Network | None = None

    @cached_property
    def listing(self) -> Listing:
        return list_model(self._model)

    @cached_property
    def statistics(self) -> Listing:
        """Return the statistics of what is stored, or what constructors draw and a spec's rules then fill."""
        if isinstance(self._model, Snapshot):
            try:
                return list_model(self._model, stats=True)
            except ParamtoolError as error:
                raise CannotTell(error.message, hint=error.hint) from error
        if not (isinstance(self._model, Spec) and self._model.rules):
            return list_model(self._model, stats=True)
        with quick_import():
            from paramtool.operations.listing.parameters import parameters
        return parameters(self._filled(self._model).module, stats=True)

    @cached_property
    def sharing(self) -> Mapping[str, str]:
        from paramtool.operations.sharing.grouping import representatives, share

        return representatives(share(laid_out(self._model)[0]))

    @cached_property
    def unfilled(self) -> Collection[str]:
        source = self._source()
        with quick_import():
            from paramtool.operations.initialization.planning import plan
            from paramtool.sources import networks
        targets = plan(networks.structure(source).module, source.rules)
        return [each.name for each in targets if not any(step.replaces for step in each.steps)]

    @cached_property
    def verdicts(self) -> Mapping[str, str]:
        """Return the verdicts after one pass over the spec's input, from its loss or else the sum."""
        spec = self._source()
        if spec.inputs is None:
            raise CannotTell(
                f"{spec.name} has no input to run on", hint="a spec has, as in input: {shape: [2, 4]}"
            )
        report = run(spec, lambda: self._filled(spec), by_use=False, values=False)
        return {row.name: row.verdict for row in report.rows if row.kind == "parameter" and row.verdict}

    def differences(self, snapshot: str, place: Place) -> Sequence[str]:
        from paramtool.operations.comparison.differences import differences
        from paramtool.render.difference_text import sentence

        return [sentence(row) for row in differences(_listed(snapshot, place), self.listing).rows]

    def _filled(self, source: Buildable) -> Network:
        """Return the network with its values, as `init` would leave it; built once."""
        with quick_import():
            from paramtool.sources import networks
        if self._network is None:
            self._network = filled(source, networks.values(source), source.rules)
        return self._network

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
