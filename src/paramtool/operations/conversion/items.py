"""A name on its way from a source to a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from paramtool.files.reading.checkpoint import Stored


@dataclass(eq=False)
class Item:
    """One name of a source, and what rules have made of it so far.

    Attributes:
        source: the number of its source.
        was: the name there.
        stored: the tensor.
        name: the name that it is to have.
        dtype: the dtype that it is to have.
        memory: the same object for all names of one tensor.
        is_mapped: whether a safetensors file only maps it to another name of its tensor.
        left_out: why it is left out; None as long as it is not.
    """

    source: int
    was: str
    stored: Stored
    name: str
    dtype: str
    memory: object
    is_mapped: bool = False
    left_out: str | None = None


def by_memory(items: Iterable[Item]) -> dict[int, list[Item]]:
    """Return the items of each tensor."""
    found: dict[int, list[Item]] = {}
    for each in items:
        found.setdefault(id(each.memory), []).append(each)
    return found
