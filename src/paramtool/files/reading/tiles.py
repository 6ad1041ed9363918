"""Whether the pieces of a tensor fit together: each inside of it, none over another, nothing left out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from paramtool.files.reading.checkpoint import Piece

MOST_TOGETHER = 64
"""Pieces that no straight cut separates and that are still compared one by one."""

DEEPEST = 64
"""Cuts within cuts."""


def fitted(shape: tuple[int, ...], pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return the pieces of a tensor of `shape` that have elements, in row-major order of their first ones.

    Raises:
        ValueError: if they are not exactly the tensor.
    """
    boxes: dict[tuple[tuple[int, ...], tuple[int, ...]], Piece] = {}
    for each in pieces:
        if len(each.offsets) != len(shape) or len(each.shape) != len(shape):
            raise ValueError("a piece has a different number of dimensions")
        if any(
            begin + size > whole for begin, size, whole in zip(each.offsets, each.shape, shape, strict=True)
        ):
            raise ValueError("a piece reaches beyond it")
        if 0 not in each.shape:
            boxes.setdefault((each.offsets, each.shape), each)
    held, wanted = sum(math.prod(size) for _, size in boxes), math.prod(shape)
    if held < wanted:
        raise ValueError(f"{wanted - held:,} of its {wanted:,} elements are in no piece")
    found = sorted(boxes.values(), key=lambda each: each.offsets)
    if held > wanted or not _are_apart(found, len(shape), 0):
        raise ValueError("its pieces overlap")
    return tuple(found)


def _are_apart(pieces: Sequence[Piece], dimensions: int, depth: int) -> bool:
    """Say whether no two overlap, by cutting them into groups along one dimension after the other."""
    if len(pieces) < 2:
        return True
    for dimension in range(dimensions):
        groups = _cut(pieces, dimension)
        if len(groups) > 1 and depth < DEEPEST:
            return all(_are_apart(group, dimensions, depth + 1) for group in groups)
    if len(pieces) > MOST_TOGETHER:
        raise ValueError("its pieces are too many and too irregular")
    return not any(
        _overlap(one, other) for number, one in enumerate(pieces) for other in pieces[number + 1 :]
    )


def _cut(pieces: Sequence[Piece], dimension: int) -> list[list[Piece]]:
    groups: list[list[Piece]] = []
    end = -1
    for each in sorted(pieces, key=lambda piece: piece.offsets[dimension]):
        if each.offsets[dimension] >= end:
            groups.append([])
        groups[-1].append(each)
        end = max(end, each.offsets[dimension] + each.shape[dimension])
    return groups


def _overlap(one: Piece, other: Piece) -> bool:
    return all(
        a < b + size_b and b < a + size_a
        for a, size_a, b, size_b in zip(one.offsets, one.shape, other.offsets, other.shape, strict=True)
    )
