"""The formats that weights are written in: how tensors lie in a file, and how it is read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from paramtool.files import safetensors_format
from paramtool.files.safetensors_format import Entry, Layout

if TYPE_CHECKING:
    from paramtool.files.reading.checkpoint import Stored

T = TypeVar("T")
Meant: TypeAlias = Mapping[str, T]


class Container(Protocol):
    """One format."""

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise if one of `entries` cannot be stored."""

    def layout(self, entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
        """Return where everything is in a file that holds `entries`."""

    def read(self, descriptor: int, path: Path) -> Iterable[Stored]:
        """Return the tensors in a file that was written, under every name that they have there."""

    def expected(self, meant: Meant[T]) -> Meant[T]:
        """Return what `read` should find: by every name what is meant of its entry."""


class Safetensors:
    """The safetensors format; see `paramtool.files.safetensors_format`."""

    def check(self, entries: Sequence[Entry]) -> None:
        """Raise if one of `entries` cannot be stored under its name, dtype and shape."""
        safetensors_format.check(entries)

    def layout(self, entries: Sequence[Entry], metadata: Mapping[str, str]) -> Layout:
        """Return the header, and the places behind it."""
        return safetensors_format.layout(entries, metadata)

    def read(self, descriptor: int, path: Path) -> Iterable[Stored]:
        """Return what the header says."""
        from paramtool.files.reading.open_file import OpenFile
        from paramtool.files.reading.safetensors import read_open_file

        return read_open_file(OpenFile(path, descriptor))[0]

    def expected(self, meant: Meant[T]) -> Meant[T]:
        """Return `meant`: every entry has one name."""
        return meant


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

    def read(self, descriptor: int, path: Path) -> Iterable[Stored]:
        """Return what the pickle says."""
        from paramtool.files.reading.archived_state import read_state
        from paramtool.files.reading.open_file import OpenFile

        return read_state(OpenFile(path, descriptor))

    def expected(self, meant: Meant[T]) -> Meant[T]:
        """Return what is meant under every name."""
        return {name: meant[first] for name, first in self.names.items()}
