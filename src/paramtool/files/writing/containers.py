"""The formats that weights are written in: how tensors lie in a file, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from paramtool.files import safetensors_format
from paramtool.files.safetensors_format import Entry, Layout

if TYPE_CHECKING:
    from paramtool.files.reading.open_file import OpenFile


class Container(Protocol):
    """One format."""

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise if one of `entries` cannot be stored."""

    def layout(self, entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
        """Return where everything is in a file that holds `entries`; raises as `check` does."""

    def is_as_planned(self, file: OpenFile, entries: Sequence[Entry], planned: Layout) -> bool:
        """Return whether a file that was written says of its tensors what it should; elements apart."""


class Safetensors:
    """The safetensors format; see `paramtool.files.safetensors_format`."""

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise if one of `entries` cannot be stored under its name, dtype and shape."""
        safetensors_format.check(entries)

    def layout(self, entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
        """Return the header, and the places behind it."""
        return safetensors_format.layout(entries, metadata)

    def is_as_planned(self, file: OpenFile, entries: Sequence[Entry], planned: Layout) -> bool:
        """Return whether the header came back as it was written, and the file is as long as it should be."""
        del entries
        return file.size == planned.size and file.read(0, len(planned.head)) == planned.head


@dataclass(frozen=True)
class TorchArchive:
    """The format of torch.save; see `paramtool.files.torch_format`.

    Attributes:
        names: every name in the order of the state_dict, and the entry that it is.
        versions: of modules by their paths, as ``state_dict._metadata`` has them.
    """

    names: Mapping[str, str]
    versions: Mapping[str, int] = field(default_factory=dict)

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise if one of `entries` cannot be stored."""
        from paramtool.files.torch_format import check_archive

        check_archive(entries)

    def layout(self, entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
        """Return where the members are; the format has no place for `metadata`."""
        from paramtool.files.torch_format import archive_layout

        del metadata
        return archive_layout(entries, self.names, self.versions)

    def is_as_planned(self, file: OpenFile, entries: Sequence[Entry], planned: Layout) -> bool:
        """Return whether the pickle has every name, with the dtype, shape and place that it should have."""
        from paramtool.files.reading.archived_state import read_state

        meant = {each.name: (each.dtype, each.shape, *planned.places[each.name]) for each in entries}
        tensors = read_state(file)
        found = {each.name: (each.dtype, each.shape, each.position, each.end) for each in tensors}
        return found == {name: meant[first] for name, first in self.names.items()}
