"""Verify the files of a checkpoint by what is written in them: checksums, or else sizes and offsets."""

from __future__ import annotations

from collections.abc import Iterable

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint, Piece
from paramtool.files.reading.formats import HEAD, SAFETENSORS, recognize_head
from paramtool.files.reading.open_file import Location, opened
from paramtool.files.reading.safetensors_check import check_file
from paramtool.files.reading.zip_directory import has_its_sum, read_members
from paramtool.quantities import counted

_COPY = "get another copy, unless torch wrote it without checksums (set_crc32_options)"


def verified(checkpoint: Checkpoint) -> list[str]:
    """Return what was checked, one line per file.

    Raises:
        ParamtoolError: for bytes that do not have their checksum, or a file that does not fit its header.
    """
    pieces = [piece for each in checkpoint.tensors for piece in each.pieces]
    chunks: dict[Location, list[Piece]] = {}
    for piece in pieces:
        if piece.archive:
            chunks.setdefault(piece.path, []).append(piece)
    paths = dict.fromkeys([*(each.path for each in checkpoint.tensors), *(each.path for each in pieces)])
    lines = [_verify(path, chunks.get(path, ()), checkpoint) for path in paths]
    return lines or [f"{checkpoint.name} lists no tensors, so there was nothing to verify"]


def _verify(path: Location, chunks: Iterable[Piece], checkpoint: Checkpoint) -> str:
    if chunks:
        places = {(each.position, each.archive) for each in chunks}
        _check_sums(path, sorted(places))
        return f"checksums of {counted(len(places), 'chunk')} in {path} match"
    with opened(path) as file:
        head = file.read(0, min(HEAD, file.size))
    if head[:2] == b"PK":
        return f"checksums of all {_check_sums(path, [(0, None)]):,} members in {path} match"
    if recognize_head(path, head) is SAFETENSORS:
        return check_file(path)
    count = sum(each.path == path for each in checkpoint.tensors)
    return (
        f"{path}: the sizes of {counted(count, 'tensor')} fit the file; "
        "the format has no checksums, so changed values would not show"
    )


def _check_sums(path: Location, places: Iterable[tuple[int, int | None]]) -> int:
    """Compare the members of the archives at `places` with their sums, and return how many there are."""
    with opened(path) as file:
        count, broken = 0, []
        for position, size in places:
            members = read_members(file, position, size)
            count += len(members)
            broken += [each.name for each in members.values() if not has_its_sum(file, each)]
    if broken:
        more = f" and {len(broken) - 1:,} more" if len(broken) > 1 else ""
        raise ParamtoolError(f"checksum mismatch in {path}: {broken[0]}{more}", hint=_COPY)
    return count
