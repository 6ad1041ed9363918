"""A snapshot as a model: what `inspect` once said, without the tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from paramtool.models.model import Model
from paramtool.name_parts import modules_of
from paramtool.operations.listing.snapshot import remembered
from paramtool.records.contents import Contents, contents_of

if TYPE_CHECKING:
    from paramtool.elements.elements import Elements
    from paramtool.network.construction import Network
    from paramtool.records.layout import Layout
    from paramtool.records.parameter import Listing


class SnapshotModel(Model):
    """A listing that was kept, in a file or in memory."""

    kind = "snapshot"

    def __init__(self, name: str, report: Listing, tell: Callable[[str], object] | None = None) -> None:
        super().__init__(name, tell)
        self.report = report
        self.contents = report.origin.contents if report.origin else ()

    def _list(self, module: str | None, stats: bool, values: bool) -> Listing:
        """Return what was said, or the part of it that is below a module."""
        return remembered(self.report, self.name, module=module, stats=stats, values=values)

    def layout(self, *, by_value: bool = False) -> Layout:
        """Return the stated ties; a snapshot does not record which tensors overlap."""
        if by_value:
            self._refuse("is a snapshot and has no values to compare")
        from paramtool.records.layout import Layout

        return Layout(self.report)

    def inside(self) -> Contents:
        """Return what the files of its checkpoint held then."""
        if self.report.origin is None:
            return super().inside()
        return contents_of(self.report.origin, self.name, self.report.totals.dtypes)

    def elements(self) -> Elements:
        """Refuse: the tensors are not there."""
        hint = "a spec, a checkpoint or package.module:object has values"
        self._refuse("is a snapshot and has no values to compare", hint)

    def network(self, *, values: bool = True, rng: str = "streams") -> Network:
        """Refuse: a snapshot describes a module but is not one."""
        del values, rng
        hint = "this takes a spec or package.module:object"
        self._refuse("is a snapshot: it describes a module but is not one", hint)

    def module_paths(self) -> Iterable[str]:
        """Return the modules in the names."""
        return modules_of(row.name for row in self.report.rows)
