"""A checkpoint as a model: named tensors in files, read without running anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from paramtool.audience import worded
from paramtool.cores import available_cores
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.models.model import Model
from paramtool.name_parts import modules_of
from paramtool.operations.listing.checkpoint import origin_of, part_of, stored
from paramtool.operations.listing.contents import told
from paramtool.records.contents import contents_of

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.loading.state_dict import StateDict
    from paramtool.network.construction import Network
    from paramtool.records.contents import Contents
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing


class CheckpointModel(Model):
    """What files store; names and shapes need neither torch nor the elements."""

    def __init__(self, checkpoint: Checkpoint, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(checkpoint.name, tell)
        self.checkpoint = checkpoint
        self.contents = checkpoint.contents
        self.note(*checkpoint.notes)

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Return every stored tensor; elements are read block by block."""
        self._tell_of_contents()
        part = part_of(self.checkpoint, module) if module else self.checkpoint
        report = stored(part)
        if not (stats or values):
            return report
        from paramtool.elements.files import FileElements
        from paramtool.elements.measurement import measured

        missing = {name: each.missing for name, each in part.by_name.items() if each.missing is not None}
        elements, jobs = FileElements(part), available_cores()
        return measured(report, elements, stats=stats, values=values, jobs=jobs, missing=missing)

    def _tell_of_contents(self) -> None:
        """Say once what else is in the files, where they have tensors that are listed."""
        beside = told(self.checkpoint) if self.checkpoint.tensors else None
        if beside is not None:
            self.note(beside)

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return where the tensors would lie in memory once they are loaded."""
        from paramtool.operations.sharing.checkpoint_layout import layout_of_checkpoint

        self._tell_of_contents()
        layout = layout_of_checkpoint(self.checkpoint, stored(self.checkpoint))
        if not by_value:
            return layout
        from paramtool.elements.equality import equal_values

        rows = layout.listed.rows
        return layout.with_equal(equal_values(rows, self.elements(), jobs=available_cores()))

    def inside(self) -> Contents:
        """Return what the files hold beside the tensors that are listed, and their metadata."""
        return contents_of(origin_of(self.checkpoint), self.name, stored(self.checkpoint).totals.dtypes)

    def overview(self, *, for_people: bool) -> Contents | None:
        """Return the contents, if there is nothing else to show."""
        if not for_people or self.checkpoint.tensors or not self.contents:
            return None
        self.note(f"{self.name} has no tensors; this is what it holds")
        return self.inside()

    def elements(self) -> Elements:
        """Return what reads the elements from the files."""
        from paramtool.elements.files import FileElements

        return FileElements(self.checkpoint)

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Refuse: a file of tensors says nothing of a forward."""
        del values, rng
        given = worded(f"--weights {self.name}", f"weights={self.name!r}")
        hint = f"this takes a spec or package.module:object, with {given}"
        self._refuse("holds tensors but no module", hint)

    def state_dict(self) -> StateDict:
        """Return the keys of the files, with the versions that they say."""
        from paramtool.loading.state_dict import of_checkpoint

        return of_checkpoint(self.checkpoint, self.mapped_names())

    def mapped_names(self) -> list[str]:
        """Return the names that safetensors files map to the first of a tie."""
        if not self.checkpoint.tied:
            return []
        tensors = self.checkpoint.by_name
        return [name for name in self.checkpoint.tied if tensors[name].path.suffix == ".safetensors"]

    def module_paths(self) -> Iterable[str]:
        """Return the modules in the names."""
        return [each for each in self.checkpoint.modules if each] or modules_of(self.checkpoint.by_name)

    def without_prefix(self, strip: Sequence[str]) -> CheckpointModel:
        """Return the same tensors under shorter names."""
        from paramtool.loading.prefix import without_prefix

        shorter = CheckpointModel(without_prefix(self.checkpoint, strip))
        shorter._tell, shorter.notes = self._tell, self.notes  # what was said is not said again
        return shorter

    def verify(self) -> None:
        """Compare every file with the sums that were written in it; one without sums, with its own header."""
        from paramtool.files.reading.verification import verified

        self.note(*verified(self.checkpoint))
