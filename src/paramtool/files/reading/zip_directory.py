"""Reading the directory of a zip archive strictly; what is compressed is told, and never expanded.

Without compression no member is larger than its file, so there are no bombs, and elements can be read
at their place.  The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.open_file import OpenFile

LARGEST_EXPANDED = 1 << 34
"""Bytes that a compressed member may have been before; a small file may claim a thousand times its size."""

LARGEST_DIRECTORY = 1 << 26
"""Bytes; that of a million members is as large."""

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 0xFFFF
_UNSET = 0xFFFFFFFF
_PIECE = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file in an archive: where its bytes lie, as they are unless it is `compressed`."""

    name: str
    position: int
    size: int
    crc: int
    compressed: bool = False


@dataclass(frozen=True)
class _Entry:
    name: bytes
    offset: int
    size: int
    crc: int
    method: int


def read_members(file: OpenFile, base: int = 0, size: int | None = None) -> dict[str, Member]:
    """Return the members of the open archive `file` by name, in the order of its directory.

    Args:
        file: the open file.
        path: what it is called in messages.
        base: the byte of the file at which the archive begins, if it is inside of another one.
        size: its bytes; by default all that the file has.

    Raises:
        ParamtoolError: for what is no archive, or one with members that are encrypted, double or overlap.
    """
    try:
        size = file.size - base if size is None else size
        start, length, count = _find_directory(file, base, size)
        directory = file.read(base + start, length)
        entries = list(_entries(directory))
        if len(entries) != count:
            raise ValueError(f"its directory has {len(entries):,} members, but claims {count:,}")
        return _placed(entries, file, base, start)
    except (ValueError, struct.error) as error:
        raise ParamtoolError(f"{file.path} is not a zip archive that paramtool can read: {error}") from error


def first_member(head: bytes) -> str:
    """Return the name of the first member as the beginning of an archive has it; empty if it is not there."""
    if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
        return ""
    size = _LOCAL.unpack_from(head)[9]
    return head[_LOCAL.size : _LOCAL.size + size].decode("utf-8", "replace")


def has_its_sum(file: OpenFile, member: Member) -> bool:
    """Tell whether the bytes of `member` have the CRC that was written with them."""
    found = 0
    try:
        for part in _expanded(file, member) if member.compressed else _pieces(file, member):
            found = zlib.crc32(part, found)
    except zlib.error:
        return False
    return found == member.crc


def _pieces(file: OpenFile, member: Member) -> Iterator[memoryview]:
    """Yield the bytes of `member`, in one room for all of them."""
    room = bytearray(min(_PIECE, member.size))
    for start in range(0, member.size, _PIECE):
        part = memoryview(room)[: min(_PIECE, member.size - start)]
        file.read_into(member.position + start, part)
        yield part


def _expanded(file: OpenFile, member: Member) -> Iterator[bytes]:
    """Yield what `member` was before it was compressed, in bounded memory.

    Raises:
        ParamtoolError: where it would be more than `LARGEST_EXPANDED` bytes.
    """
    engine, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    for part in _pieces(file, member):
        waiting: bytes = bytes(part)
        while waiting:
            found = engine.decompress(waiting, _PIECE)
            total += len(found)
            if total > LARGEST_EXPANDED:
                raise ParamtoolError(
                    f"{shorten(member.name)} in {file.path} expands to too many bytes to verify"
                )
            yield found
            waiting = engine.unconsumed_tail
    yield engine.flush()


def read_member(file: OpenFile, member: Member) -> bytes:
    """Return the bytes of `member`."""
    return file.read(member.position, member.size)


def _find_directory(file: OpenFile, base: int, size: int) -> tuple[int, int, int]:
    """Return where the directory begins, its length, and how many members it has."""
    tail_start = max(0, size - _LONGEST_COMMENT - _END.size - _LOCATOR.size)
    tail = file.read(base + tail_start, size - tail_start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise ValueError("it ends without a directory; it was cut off")
    if at + _END.size > len(tail):
        raise ValueError("it was cut off in the record at its end")
    _, disk, first_disk, here, count, length, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment > len(tail):
        raise ValueError("it was cut off in the comment at its end")
    if at + _END.size + comment < len(tail):
        raise ValueError("bytes follow its directory; it was cut off, or they were added later")
    end = tail_start + at
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :][:4] == b"PK\x06\x07":
        _, _, end, disks = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        if disks != 1 or end + _END_64.size > size:
            raise ValueError("its directory is not where it says")
        record = _END_64.unpack(file.read(base + end, _END_64.size))
        signature, _, _, _, disk, first_disk, here, count, length, start = record
        if signature != b"PK\x06\x06":
            raise ValueError("its directory is not where it says")
    if disk or first_disk or here != count:
        raise ValueError("it is in several parts")
    if start + length != end or length > LARGEST_DIRECTORY:
        raise ValueError(f"its directory of {length:,} bytes is not where it says, or too large")
    return start, length, count


def _entries(directory: bytes) -> Iterator[_Entry]:
    at = 0
    while at < len(directory):
        signature, _, _, flags, method, _, _, *rest = _ENTRY.unpack_from(directory, at)
        crc, packed, size, name_size, extra_size, comment, _, _, _, offset = rest
        at += _ENTRY.size
        name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment
        shown = shorten(name.decode("utf-8", "replace"))
        if signature != b"PK\x01\x02" or at > len(directory):
            raise ValueError("its directory is broken")
        if flags & 1:
            raise ValueError(f"{shown} is encrypted")
        size, packed, offset = _in_64_bits(extra, size, packed, offset)
        if not method and size != packed:
            raise ValueError(f"{shown} has two sizes")
        yield _Entry(name, offset, packed, crc, method)


def _in_64_bits(extra: bytes, *numbers: int) -> list[int]:
    """Return the size, packed size and offset, those that do not fit in 32 bits from the extra field."""
    if _UNSET not in numbers:
        return list(numbers)
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            found = [next(wide, -1) if number == _UNSET else number for number in numbers]
            if -1 not in found:
                return found
        at += 4 + length
    raise ValueError("a member lacks its size")


def _placed(entries: list[_Entry], file: OpenFile, base: int, end: int) -> dict[str, Member]:
    """Return the members, of which each lies behind the one before it."""
    places: dict[bytes, int] = {}
    free = 0
    for each in sorted(entries, key=lambda entry: entry.offset):
        shown = shorten(each.name.decode("utf-8", "replace"))
        if each.name in places:
            raise ValueError(f"{shown} appears twice")
        if each.offset < free:
            raise ValueError(f"{shown} overlaps another member")
        if each.offset > end:
            raise ValueError("its directory is broken")
        length = min(_LOCAL.size + len(each.name), end - each.offset)
        head = file.read(base + each.offset, length)
        signature, _, flags, method, *_, name_size, extra_size = _LOCAL.unpack_from(head)
        is_same = (
            signature == b"PK\x03\x04" and head[_LOCAL.size :] == each.name and name_size == len(each.name)
        )
        if not is_same or method != each.method or flags & 1:
            raise ValueError(f"{shown} is not where its directory says")
        places[each.name] = each.offset + _LOCAL.size + name_size + extra_size
        free = places[each.name] + each.size
        if free > end:
            raise ValueError(f"{shown} reaches into the directory; the file was cut off or changed")
    return {
        name: Member(name, base + places[each.name], each.size, each.crc, each.method != 0)
        for each in entries
        for name in [each.name.decode()]
    }
