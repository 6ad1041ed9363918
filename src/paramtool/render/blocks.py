"""Fold identical numbered blocks: ``h.0.weight`` … ``h.11.weight`` to ``h.{0..11}.weight``."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol, TypeVar

from paramtool.module_tree import Module, put_all, trees
from paramtool.render.fold import MOVING, Likeness, merged
from paramtool.render.names import FEWEST, NUMBERED, runs, span


class Named(Protocol):
    """A record about one name, or about `count` of them."""

    @property
    def name(self) -> str:
        """The name, dots and all."""

    @property
    def count(self) -> int:
        """How many names this is about."""


Row = TypeVar("Row", bound=Named)

_NUMBERED_MODULE = re.compile(r"[0-9]\.")


class _Block(NamedTuple):
    """What is in a module.

    Attributes:
        shape: a number that stands for the names in it, in their order.
        rows: the indices of their rows.
    """

    shape: int
    rows: list[int]


def fold_blocks(rows: Iterable[Row], *, are_modules: bool = False) -> list[Row]:
    """Return `rows` with each run of identical numbered modules as one.

    Blocks are identical when their names agree and what `Likeness` says of their rows; what becomes of
    these `merged` says.  A row stands where its first name stood.

    Args:
        rows: in any order.
        are_modules: whether every name is that of a module, and not of a tensor in one.
    """
    rows = list(rows)
    if not rows:
        return []
    names = list(map(attrgetter("name"), rows))
    kinds = list(map(attrgetter("kind"), rows)) if hasattr(rows[0], "kind") else [""] * len(rows)
    # of one kind a module may have a single tensor
    folded = {row.name for row in rows if are_modules or row.count > 1}
    if not folded and _is_without_numbers(names, kinds):
        return rows
    return _Fold(rows, folded).folded(trees(names, kinds, whole=bool(folded)))


def _is_without_numbers(names: Sequence[str], kinds: Sequence[str]) -> bool:
    """Return whether no name has a module with a number, and none of a kind appears twice."""
    if _NUMBERED_MODULE.search("\n".join(names)):
        return False
    return len(set(names)) == len(names) or len(set(zip(kinds, names, strict=True))) == len(names)


class _Fold:
    """Folds the blocks of trees from the inside out.

    Args:
        rows: what the trees have the indices of; merged rows come behind them.
        folded: the names of those that stand for several already.
    """

    def __init__(self, rows: Sequence[Any], folded: Collection[str]) -> None:
        self._rows = list(rows)
        self._places = list(range(len(rows)))  # where the first name of each row stood
        self._likeness = Likeness(type(rows[0]))
        self._alike = list(map(self._likeness.number, rows))
        self._folded = folded
        self._shapes: dict[Hashable, int] = {}
        self._tensor = self._shape((None,))
        self._orders: dict[tuple[str, ...], tuple[int, list[int] | None]] = {}
        self._numbers: dict[str, tuple[str, int] | None] = {}  # the same parts are in many blocks

    def folded(self, trees: Iterable[Module]) -> list[Any]:
        """Return the rows of all trees, folded, in their order."""
        found = [row for root in trees for row in self._block(root, "").rows]
        found.sort(key=self._places.__getitem__)
        return [self._rows[row] for row in found]

    def _block(self, module: Module, path: str) -> _Block:
        """Return what is in `module`, whose own name with a dot is `path`."""
        if module.tensors is not None:
            shape, order = self._in_order(tuple(module.tensors))
            tensors = list(module.tensors.values())
            return _Block(shape, tensors if order is None else [tensors[each] for each in order])
        rows = [] if module.row is None else [module.row]
        names: list[Hashable] = [None] * len(rows)
        blocks: dict[Hashable, list[tuple[int, str, _Block]]] = {}
        for part, inner in module.below.items():
            name = f"{path}{part}"
            is_tensor = isinstance(inner, int)
            block = (
                _Block(self._tensor, [inner]) if isinstance(inner, int) else self._block(inner, f"{name}.")
            )
            number = self._number(part) if self._may_fold(inner, name) else None
            if number is not None:
                key = (number[0], block.shape, self._likenesses(block.rows, f"{name}."))
                blocks.setdefault(key, []).append((number[1], part, block))
            else:
                names.append(part if is_tensor else (part, block.shape))
                rows += block.rows
        for same in blocks.values():
            for run in runs(sorted(same, key=lambda block: block[0])):
                for part, block in self._merged(run, path):
                    names.append((part, block.shape))
                    rows += block.rows
        return _Block(self._shape(tuple(names)), rows)

    def _shape(self, names: tuple[Hashable, ...]) -> int:
        return self._shapes.setdefault(names, len(self._shapes))

    def _in_order(self, names: tuple[str, ...]) -> tuple[int, list[int] | None]:
        """Return the shape of a module without numbered ones, and the order in which the tree has its names.

        None stands for the order that they are in.
        """
        if names not in self._orders:
            shape, order = self._block(put_all({name: at for at, name in enumerate(names)}), "")
            self._orders[names] = shape, None if order == sorted(order) else order
        return self._orders[names]

    def _may_fold(self, inner: int | Module, name: str) -> bool:
        """Return whether this is a module without a row of its own, or stands for one in a folded row."""
        if isinstance(inner, Module) and inner.row is None:
            return True
        return name in self._folded

    def _number(self, part: str) -> tuple[str, int] | None:
        """Return what `part` begins with, and the number that it ends in; None if it ends in none."""
        if part not in self._numbers:
            found = NUMBERED.fullmatch(part) if part[-1:].isdigit() else None
            self._numbers[part] = (found[1], int(found[2])) if found else None
        return self._numbers[part]

    def _likenesses(self, rows: Sequence[int], path: str) -> tuple[int, ...]:
        """Return numbers that are equal for two blocks where their rows are alike."""
        found = tuple(map(self._alike.__getitem__, rows))
        if MOVING in found:
            number = self._likeness.number_inside
            found = tuple(
                number(self._rows[row], path) if alike == MOVING else alike
                for row, alike in zip(rows, found, strict=True)
            )
        return found

    def _merged(self, run: Sequence[tuple[int, str, _Block]], path: str) -> Iterator[tuple[str, _Block]]:
        """Yield the blocks of a run in the module `path`; as one, if they are enough."""
        if len(run) < FEWEST:
            yield from ((part, block) for _, part, block in run)
            return
        (first, part, block), (last, _, _) = run[0], run[-1]
        name = f"{part[: len(part) - len(str(first))]}{span(first, last)}"
        rows = []
        for same in zip(*(each.rows for _, _, each in run), strict=True):
            row = merged([self._rows[each] for each in same], f"{path}{part}", f"{path}{name}")
            rows.append(len(self._rows))
            self._rows.append(row)
            self._places.append(min(self._places[each] for each in same))
            self._alike.append(self._likeness.number(row))
        yield name, _Block(block.shape, rows)
