"""Tensors that share nothing and hold the same bytes: a tie that was lost, or a copy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable
from math import prod

import torch

from paramtool.records.layout import EqualValues
from paramtool.records.parameter import ParameterRow
from paramtool.tensors.elements import EDGE, Elements
from paramtool.tensors.memory import as_bytes, resolved

MOST_OUTLINED = 1 << 12
"""Elements of an outline that is read to tell tensors apart at once."""


def equal_values(rows: Iterable[ParameterRow], elements: Elements) -> EqualValues:
    """Return the parameters and buffers of one dtype and shape that have the same bytes.

    Bytes decide: NaN equals itself, and 0 is not -0.  Tensors that hold one value throughout are left
    out, or every bias of zeros and every norm of ones would be one group.

    Args:
        rows: those of tied names are left out.
        elements: their elements, which are read block by block.
    """
    candidates = [row for row in rows if row.tied_to is None and row.kind != "tensor" and row.numel]
    alike = _alike(candidates, lambda row: (row.dtype, row.shape))
    alike = [each for group in alike for each in _alike(group, lambda row: _outline(elements, row))]
    constant = 0
    groups: list[tuple[str, ...]] = []
    for group in alike:
        by_digest: dict[str, list[str]] = {}
        for row in group:
            digest, is_constant = _digest(elements, row.name)
            constant += is_constant
            if not is_constant:
                by_digest.setdefault(digest, []).append(row.name)
        groups.extend(tuple(names) for names in by_digest.values() if len(names) > 1)
    return EqualValues(tuple(groups), constant)


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
    outline = resolved(elements.outline(row.name))  # held by its name while its memory is read
    return bytes(as_bytes(outline))


def _digest(elements: Elements, name: str) -> tuple[str, bool]:
    """Return the SHA-256 of the elements, and whether all of them are one."""
    found = hashlib.sha256()
    first = None
    is_constant = True
    for part in elements.blocks(name):
        block = resolved(part)
        found.update(as_bytes(block))
        if is_constant:
            size = block.itemsize
            data = block.view(torch.uint8)
            first = data[:size].clone() if first is None else first
            is_constant = torch.equal(data[:size], first) and torch.equal(data[size:], data[:-size])
    return found.hexdigest(), is_constant
