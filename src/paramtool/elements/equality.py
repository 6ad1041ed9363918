"""Tensors that share nothing and hold the same bytes: a tie that was lost, or a copy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from math import prod

import numpy as np

from paramtool import progress
from paramtool.elements.dtypes import bits, memory_of
from paramtool.elements.elements import EDGE, Elements
from paramtool.elements.threads import run
from paramtool.records.layout import EqualValues
from paramtool.records.parameter import ParameterRow

MOST_OUTLINED = 1 << 12
"""Elements of an outline that is read to distinguish tensors at once."""


def equal_values(rows: Iterable[ParameterRow], elements: Elements, *, jobs: int = 1) -> EqualValues:
    """Return the parameters and buffers of one dtype and shape that have the same bytes.

    Bytes decide: NaN equals itself, and 0 is not -0.  Tensors that hold one value throughout are left
    out, or every bias of zeros and every norm of ones would be one group.

    Args:
        rows: those of tied names are left out.
        elements: their elements, which are read block by block.
        jobs: threads.

    Raises:
        ParamtoolError: if elements cannot be read.
    """
    candidates = [row for row in rows if row.tied_to is None and row.kind != "tensor" and row.numel]
    alike = _alike(candidates, lambda row: (row.dtype, row.shape))
    outlines: dict[str, bytes] = {}

    def outline(row: ParameterRow) -> None:
        outlines[row.name] = _outline(elements, row)

    run((row for group in alike for row in group), outline, jobs)
    alike = [each for group in alike for each in _alike(group, lambda row: outlines[row.name])]
    digests: dict[str, tuple[str, bool]] = {}

    def work(row: ParameterRow) -> None:
        digests[row.name] = _digest(elements, row.name)
        advance(row.numel or 0)

    candidates = [row for group in alike for row in group]
    with progress.work("equal values", sum(row.numel or 0 for row in candidates)) as advance:
        run(iter(candidates), work, jobs)
    groups: list[tuple[str, ...]] = []
    for group in alike:
        by_digest: dict[str, list[str]] = {}
        for row in group:
            digest, is_constant = digests[row.name]
            if not is_constant:
                by_digest.setdefault(digest, []).append(row.name)
        groups.extend(tuple(names) for names in by_digest.values() if len(names) > 1)
    return EqualValues(tuple(groups), sum(is_constant for _, is_constant in digests.values()))


def _alike(rows: Iterable[ParameterRow], key: Callable[[ParameterRow], Hashable]) -> list[list[ParameterRow]]:
    """Return those that have the same key as another, together."""
    found: dict[Hashable, list[ParameterRow]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return [group for group in found.values() if len(group) > 1]


def _outline(elements: Elements, row: ParameterRow) -> bytes:
    """Return the elements at the edges, by which most tensors differ, so that the rest is not read."""
    if prod(min(size, 2 * EDGE + 1) for size in row.shape or ()) > MOST_OUTLINED:
        return b""
    return elements.outline(row.name).tobytes()


def _digest(elements: Elements, name: str) -> tuple[str, bool]:
    """Return the SHA-256 of the elements, and whether all of them are one."""
    found = hashlib.sha256()
    first = None
    is_constant = True
    for block in elements.blocks(name):
        found.update(memory_of(block))
        if is_constant:
            rows = bits(block)
            first = rows[0].copy() if first is None else first
            is_constant = bool(np.all(rows == first))
    return found.hexdigest(), is_constant
