"""A checkpoint as a model: named tensors in files, read without running anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from paramtool.cores import available_cores
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.models.model import Model
from paramtool.name_parts import modules_of
from paramtool.operations.listing.checkpoint import part_of, stored

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.network.construction import Network
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing


class CheckpointModel(Model):
    """What files store; names and shapes need neither torch nor the elements."""

    def __init__(self, checkpoint: Checkpoint, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(checkpoint.name, tell)
        self.checkpoint = checkpoint
        self.contents = checkpoint.contents

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Return every stored tensor; elements are read block by block."""
        part = part_of(self.checkpoint, module) if module else self.checkpoint
        report = stored(part)
        if not (stats or values):
            return report
        from paramtool.elements.files import FileElements
        from paramtool.elements.measurement import measured

        missing = {name: each.missing for name, each in part.by_name.items() if each.missing is not None}
        elements, jobs = FileElements(part), available_cores()
        return measured(report, elements, stats=stats, values=values, jobs=jobs, missing=missing)

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return where the tensors would lie in memory once they are loaded."""
        from paramtool.operations.sharing.checkpoint_layout import layout_of_checkpoint

        layout = layout_of_checkpoint(self.checkpoint, stored(self.checkpoint))
        if not by_value:
            return layout
        from paramtool.elements.equality import equal_values

        rows = layout.listed.rows
        return layout.with_equal(equal_values(rows, self.elements(), jobs=available_cores()))

    def elements(self) -> Elements:
        """Return what reads the elements from the files."""
        from paramtool.elements.files import FileElements

        return FileElements(self.checkpoint)

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Refuse: a file of tensors says nothing of a forward."""
        del values, rng
        hint = f"this takes a spec or package.module:object, with --weights {self.name}"
        self._refuse("holds tensors but no module", hint)

    def mapped_names(self) -> list[str]:
        """Return the names that safetensors files map to the first of a tie."""
        tensors = self.checkpoint.by_name
        return [name for name in self.checkpoint.tied if tensors[name].path.suffix == ".safetensors"]

    def module_paths(self) -> Iterable[str]:
        """Return the modules in the names."""
        return modules_of(self.checkpoint.by_name)

    def verify(self) -> None:
        """Compare the members of every file with the sums that were written beside them."""
        if not self.checkpoint.has_sums:
            super().verify()
        from paramtool.files.reading.torch_archive import broken_members

        for path in dict.fromkeys(each.path for each in self.checkpoint.tensors):
            count, broken = broken_members(path)
            if broken:
                more = f" and {len(broken) - 1:,} more" if len(broken) > 1 else ""
                raise ParamtoolError(
                    f"checksum mismatch in {path}: {broken[0]}{more}",
                    hint="get another copy, unless torch wrote it without checksums (set_crc32_options)",
                )
            self.note(f"checksums of all {count:,} members in {path} match")
