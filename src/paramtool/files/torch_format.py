"""The layout of torch.save: a zip archive with a pickle, and a member for each storage.

Members are stored as they are, and their bytes begin at multiples of 64, so that ``torch.load`` can map
them into memory.  It is the layout of torch 1.6 to 2.6, which every later torch reads; later ones add
members that say how places can be computed, and readers do without them.  A local header
has the CRC-32 of its member, so the headers are written when the data are there.

The pickle has protocol 2, as torch's own, and holds an ``OrderedDict`` of tensors.  Names of one tensor
are tensors over one storage.  The zip format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from paramtool.errors import ParamtoolError
from paramtool.files.safetensors_format import Entry, Layout
from paramtool.files.state_pickle import state_pickle

ALIGNMENT = 64
_ROOT = "archive"
_VERSION = b"3\n"
_MOST = 0xFFFFFFFF
_MOST_MEMBERS = 0xFFFF
_UTF8 = 0x800
_DAY = 0x21  # the first of January 1980, as torch writes it
_PADDING = b"FB"

_LOCAL = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")


@dataclass(frozen=True)
class Member:
    """One file of the archive.

    Attributes:
        name: with the folder that all are in.
        start: the byte of the archive at which its local header begins.
        position: the byte at which its own bytes begin.
        size: how many they are.
        content: these bytes; None for a tensor, whose bytes come piece by piece.
        tensor: the name of that tensor.
    """

    name: bytes
    start: int
    position: int
    size: int
    content: bytes | None = None
    tensor: str = ""

    @property
    def is_large(self) -> bool:
        """Whether its size does not fit in 32 bits."""
        return self.size >= _MOST

    def header(self, crc: int) -> bytes:
        """Return the local header, padded up to `position`."""
        extra = struct.pack("<2H2Q", 1, 16, self.size, self.size) if self.is_large else b""
        left = self.position - self.start - _LOCAL.size - len(self.name) - len(extra) - 4
        extra += _PADDING + struct.pack("<H", left) + b"Z" * left
        size = _MOST if self.is_large else self.size
        head = _LOCAL.pack(
            b"PK\x03\x04", self._version, _UTF8, 0, 0, _DAY, crc, size, size, len(self.name), len(extra)
        )
        return head + self.name + extra

    def entry(self, crc: int) -> bytes:
        """Return what the directory says of it."""
        wide = [self.size, self.size] if self.is_large else []
        wide += [self.start] if self.start >= _MOST else []
        extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        size, start = (_MOST if self.is_large else self.size), min(self.start, _MOST)
        version = 45 if wide else self._version
        head = _ENTRY.pack(
            b"PK\x01\x02", version, version, _UTF8, 0, 0, _DAY, crc, size, size,
            len(self.name), len(extra), 0, 0, 0, 0, start,
        )  # fmt: skip
        return head + self.name + extra

    @property
    def _version(self) -> int:
        return 45 if self.is_large else 20


@dataclass(frozen=True)
class ArchiveLayout(Layout):
    """A whole archive; nothing is written before the data."""

    needs_checksums: ClassVar[bool] = True

    members: tuple[Member, ...] = ()
    directory: int = 0

    def closing(self, checksums: Mapping[str, int]) -> Iterator[tuple[int, bytes]]:
        """Yield every header, the members that are no tensors, and the directory."""
        entries = []
        for each in self.members:
            crc = checksums[each.tensor] if each.content is None else zlib.crc32(each.content)
            yield each.start, each.header(crc) + (each.content or b"")
            entries.append(each.entry(crc))
        listed = b"".join(entries)
        yield self.directory, listed + _end(len(self.members), self.directory, len(listed))


def archive_layout(
    entries: Sequence[Entry], names: Mapping[str, str], versions: Mapping[str, int]
) -> ArchiveLayout:
    """Return the layout of an archive that holds `entries`; the same for the same arguments.

    Args:
        entries: one for each storage.
        names: every name in the order of the state_dict, and the entry that it is.
        versions: of modules by their paths, as ``state_dict._metadata`` has them.

    Raises:
        ParamtoolError: if a name comes twice, or no archive can hold a shape.
    """
    check_archive(entries)
    pickled = state_pickle(entries, names, versions)
    contents: list[tuple[str, int, bytes | None, str]] = [
        ("data.pkl", len(pickled), pickled, ""),
        ("byteorder", 6, b"little", ""),
        *((f"data/{number}", each.nbytes, None, each.name) for number, each in enumerate(entries)),
        ("version", len(_VERSION), _VERSION, ""),
    ]
    members, position = [], 0
    for name, size, content, tensor in contents:
        whole = f"{_ROOT}/{name}".encode()
        head = _LOCAL.size + len(whole) + (20 if size >= _MOST else 0) + 4
        begin = -(-(position + head) // ALIGNMENT) * ALIGNMENT
        members.append(Member(whole, position, begin, size, content, tensor))
        position = begin + size
    places = {each.tensor: (each.position, each.position + each.size) for each in members[2:-1]}
    listed = sum(len(each.entry(0)) for each in members)
    size = position + listed + len(_end(len(members), position, listed))
    return ArchiveLayout(b"", places, size, tuple(members), position)


def check_archive(entries: Iterable[Entry]) -> None:
    """Raise if one of `entries` comes twice, or has a shape that torch has not."""
    seen: set[str] = set()
    for each in entries:
        if each.name in seen:
            raise ParamtoolError(f"cannot store {each.name!r} twice in one file")
        seen.add(each.name)
        if min(each.shape, default=0) < 0 or max(each.shape, default=0) >= 2**63 or each.nbytes >= 2**63:
            raise ParamtoolError(f"cannot store {each.name!r}: no file can hold the shape {list(each.shape)}")


def _end(count: int, start: int, size: int) -> bytes:
    """Return what follows the directory: where it begins, and how large it is."""
    found = b""
    if count >= _MOST_MEMBERS or start >= _MOST or size >= _MOST:
        found = _END_64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start)
        found += _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1)
    most = min(count, _MOST_MEMBERS)
    return found + _END.pack(b"PK\x05\x06", 0, 0, most, most, min(size, _MOST), min(start, _MOST), 0)
