"""The checkpoints that are converted, and what becomes of a name that several of them have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from paramtool.elements.files import FileElements
from paramtool.elements.threads import run
from paramtool.errors import CannotOpen, DoesNotMatch
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.operations.conversion.items import Item

Prefer: TypeAlias = Literal["first", "last"]


class Sources:
    """Checkpoints, and the elements of their tensors.

    Raises:
        CannotOpen: for one without tensors.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        for each in checkpoints:
            if not each.tensors:
                raise CannotOpen(f"{each.name} has no tensors to convert", hint=_other_part(each))
        self.checkpoints = tuple(checkpoints)
        self._elements = [FileElements(each) for each in checkpoints]

    def elements(self, item: Item) -> FileElements:
        """Return what reads the elements of an item, by the name that it had."""
        return self._elements[item.source]

    def items(self, prefer: Prefer | None, jobs: int) -> list[Item]:
        """Return every name; those that are in another source too are left out there.

        Args:
            prefer: the source whose tensor is taken; without, they have to be equal.
            jobs: threads.

        Raises:
            DoesNotMatch: if two sources have different tensors of one name.
        """
        items = [item for number in range(len(self.checkpoints)) for item in self._of(number)]
        pairs = list(_twice(items))
        if prefer is None:
            run(iter(pairs), lambda pair: self._check_equal(*pair), jobs)
        for one, other in pairs:
            kept, dropped = (other, one) if prefer == "last" else (one, other)
            where = self.checkpoints[kept.source].name
            dropped.left_out = f"equal in {where}" if prefer is None else f"from {where} instead"
        return items

    def _of(self, number: int) -> Iterator[Item]:
        """Yield the names of one source, those that a file only maps to another last."""
        checkpoint = self.checkpoints[number]
        memories: dict[int, object] = {}
        for name, stored in checkpoint.by_name.items():
            is_mapped = name in checkpoint.tied and stored.path.suffix == ".safetensors"
            memory = memories.setdefault(id(stored), object())
            yield Item(number, name, stored, name, stored.dtype, memory, is_mapped)

    def _check_equal(self, one: Item, other: Item) -> None:
        a, b = one.stored, other.stored
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            what = f"{a.dtype} {list(a.shape)} and {b.dtype} {list(b.shape)}"
        elif self.are_equal(one, other):
            return
        else:
            what = "different values"
        names = " and ".join(self.checkpoints[each.source].name for each in (one, other))
        raise DoesNotMatch(
            f"'{one.was}' is in {names}: {what}", hint="--prefer last or --prefer first chooses one"
        )

    def are_equal(self, one: Item, other: Item) -> bool:
        """Return whether two tensors of one shape and dtype have the same bytes."""
        pairs = (self.elements(each).blocks(each.was) for each in (one, other))
        return all(np.array_equal(_bytes(a), _bytes(b)) for a, b in zip(*pairs, strict=True))


def _bytes(
    block: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return block.view(np.uint8)


def _twice(items: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """Yield each name of a later source with the same name of an earlier one."""
    known: dict[str, Item] = {}
    for each in items:
        if each.was in known:
            yield known[each.was], each
        known[each.was] = each


def _other_part(checkpoint: Checkpoint) -> str | None:
    parts = [each.name for each in checkpoint.contents if each.tensors]
    return f"e.g. {checkpoint.name}:{parts[0]}" if parts else None
