"""Find which removed name and which added name are one tensor under a new name.  No torch.

The names that only A has and those that only B has are two trees of modules, walked together from
their roots.  A renamed module explains all the names inside it at once, so that the layers of a stack,
which look all the same, stay in their places.  What is ambiguous is left alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import repeat
from typing import NamedTuple

from paramtool.name_parts import last_part
from paramtool.operations.comparison.name_likeness import Score, mutually_best, name_likeness
from paramtool.operations.comparison.name_tree import NameNode, NameNodes, Tensor, namesakes, trees

MOST_NAMESAKES = 32
"""Modules of one name, the highest, among which a moved one is looked for."""

LEAST_IN_COMMON = 0.5
"""The share of their tensors that must agree for two modules to be taken for one."""

MOST_COMPARISONS = 500_000
"""Pairs that are compared one by one, about a second; beyond that only unique or ordered ones are found."""

MOST_KEPT = 500_000
"""Counts that are kept of modules which may come again, about 50 MB."""

GROUNDS = ("end of the name", "place", "a similar name", "order")
"""What two names have in common besides shape and dtype, the strongest first."""
END, PLACE, SIMILAR, ORDER = range(len(GROUNDS))

SAME_VALUES = "same values"
SAME_PART = "same shape, dtype and last part of the name"
ONLY_ONES = "the only ones of their shape and dtype"


class Pairing(NamedTuple):
    """One tensor under two names, and what speaks for it."""

    was: str
    now: str
    because: str


def pair_names(removed: Mapping[str, Hashable], added: Mapping[str, Hashable]) -> list[Pairing]:
    """Return the pairings of `removed` names with `added` ones, in the order of `removed`.

    Each name comes with a key, and only names of one key pair: a shape and a dtype, and what else is
    known.  The pairings are the same, turned around, when the two are.
    """
    walk = _Walk()
    a, b = trees(removed, added)
    walk.align(a.below, b.below, END)
    rest_a = {name: key for name, key in removed.items() if name not in walk.found}
    rest_b = {name: key for name, key in added.items() if name not in walk.taken}
    for part, because in ((last_part, SAME_PART), (_no_part, ONLY_ONES)) if rest_a and rest_b else ():
        for was, now in _only_ones(rest_a, rest_b, part):
            if was not in walk.found and now not in walk.taken:
                walk.take(was, now, because)
    return [Pairing(name, *walk.found[name]) for name in removed if name in walk.found]


def _no_part(_: str) -> str:
    return ""


def _only_ones(
    removed: Mapping[str, Hashable], added: Mapping[str, Hashable], part: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """Yield the names that are alone on their side with their key and `part` of the name."""
    groups: dict[Hashable, tuple[list[str], list[str]]] = {}
    for side, names in enumerate((removed, added)):
        for name, key in names.items():
            groups.setdefault((key, part(name)), ([], []))[side].append(name)
    for first, second in groups.values():
        if len(first) == len(second) == 1:
            yield first[0], second[0]


class _Walk:
    """Walks two trees together and keeps the pairs that it finds."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[str, str]] = {}
        self.taken: set[str] = set()
        self._known: dict[tuple[int, int], Counter[Hashable]] = {}
        self._common: dict[tuple[int, int], int] = {}
        self._room = MOST_KEPT
        self._left = MOST_COMPARISONS

    def take(self, was: str, now: str, because: str) -> None:
        self.found[was] = now, because
        self.taken.add(now)

    def align(self, a: NameNodes, b: NameNodes, ground: int) -> None:
        """Pair the contents of two modules, which are paired by `ground`."""
        for part in a:
            if part in b:
                self._pair(a[part], b[part], ground)
        only_a = {part: node for part, node in a.items() if part not in b}
        only_b = {part: node for part, node in b.items() if part not in a}
        if not (only_a and only_b):
            return
        for step in (self._moved, self._same_inside, self._alike_inside):
            rest_a, rest_b = self._open(only_a), self._open(only_b)
            if rest_a and rest_b:
                step(rest_a, rest_b, ground)

    def _open(self, nodes: NameNodes) -> NameNodes:
        return {part: node for part, node in nodes.items() if not node.is_paired}

    def _pair(self, a: NameNode, b: NameNode, ground: int) -> None:
        if a.is_paired or b.is_paired:
            return
        if a.signature == b.signature and a.is_whole and b.is_whole:
            self._pair_whole(a, b, ground)
            return
        a.pair()
        b.pair()
        if a.key is not None and a.key == b.key:
            self.take(a.path, b.path, f"same shape, dtype and {GROUNDS[ground]}")
        if a.is_module and b.is_module:
            self.align(a.below, b.below, ground)

    def _pair_whole(self, a: NameNode, b: NameNode, ground: int) -> None:
        """Pair two nodes with the same nodes below, all unpaired, with the result that `align` would have."""
        because = f"same shape, dtype and {GROUNDS[ground]}"
        a.pair()
        b.pair()
        pairs = dict(a.pairs(b))
        self.found.update(zip(pairs, zip(pairs.values(), repeat(because)), strict=False))
        self.taken.update(pairs.values())
        a.spend()
        b.spend()

    def _can_compare(self, count: int) -> bool:
        self._left -= count
        return self._left >= 0

    def _moved(self, a: NameNodes, b: NameNodes, ground: int) -> None:
        """Pair what has another module around it, or one less: ``wte`` and ``transformer.wte``."""
        if not self._can_compare(MOST_NAMESAKES * (len(a) + len(b))):
            return
        moves = [*_moves(a, b, self._all_contents)]
        moves += [_Move(move.other, move.one, move.order) for move in _moves(b, a, self._all_contents)]
        for move in sorted(moves, key=lambda move: move.order):
            self._pair(move.one, move.other, ground)

    def _same_inside(self, a: NameNodes, b: NameNodes, ground: int) -> None:
        """Pair modules in which every name, shape and dtype is the same, and tensors without a module."""
        groups: dict[int, tuple[list[NameNode], list[NameNode]]] = {}
        for side, nodes in enumerate((a, b)):
            for node in (each for top in nodes.values() for each in top.chain()):
                groups.setdefault(node.signature, ([], []))[side].append(node)
        for same_a, same_b in groups.values():
            if len(same_a) == len(same_b) == 1:
                self._pair(same_a[0], same_b[0], max(ground, END if same_a[0].is_module else PLACE))
            elif same_a and same_b:
                self._among_equals(same_a, same_b, ground)

    def _among_equals(self, a: list[NameNode], b: list[NameNode], ground: int) -> None:
        if self._can_compare(len(a) * len(b)):
            for one, other in mutually_best(a, b, _by_name):
                self._pair(one, other, max(ground, SIMILAR))
        rest_a, rest_b = ([node for node in each if not node.is_paired] for each in (a, b))
        if len(rest_a) == len(rest_b):
            for one, other in zip(rest_a, rest_b, strict=True):
                self._pair(one, other, max(ground, ORDER))

    def _alike_inside(self, a: NameNodes, b: NameNodes, ground: int) -> None:
        """Pair modules that have most tensors in common: by name, by its last part, by shape and dtype."""
        for level in range(3):
            rest_a, rest_b = ([each.chain()[-1] for each in self._open(side).values()] for side in (a, b))
            rest_a, rest_b = ([node for node in side if node.is_module] for side in (rest_a, rest_b))
            if not (rest_a and rest_b and self._can_compare(len(rest_a) * len(rest_b))):
                return
            for one, other in mutually_best(rest_a, rest_b, self._score(level)):
                self._pair(one, other, max(ground, END if level == 0 else PLACE))

    def _score(self, level: int) -> Callable[[NameNode, NameNode], Score | None]:
        """Return the function that rates how alike the open tensors of two modules are at a level."""
        counts: dict[int, Counter[Hashable]] = {}

        def contents(node: NameNode) -> Counter[Hashable]:
            if id(node) not in counts:
                counts[id(node)] = self._contents(node, level)
            return counts[id(node)]

        def score(one: NameNode, other: NameNode) -> Score | None:
            if level == 0 and one.is_whole and other.is_whole:
                return _by_contents(one, other, one.common(other, self._common), one.size + other.size)
            first, second = contents(one), contents(other)
            return _by_contents(one, other, _in_common(first, second), first.total() + second.total())

        return score

    def _contents(self, node: NameNode, level: int) -> Counter[Hashable]:
        """Count the tensors in a module that have no counterpart yet, by what a level compares."""
        if node.is_whole:
            return self._all_contents(node, level)
        return _count(node.open_tensors(), level)

    def _all_contents(self, node: NameNode, level: int) -> Counter[Hashable]:
        """Count the tensors at or below a node; nodes of one signature have the same."""
        if level == 0 or node.key is not None:
            return self._keep(node, level, lambda: _count(node.tensors(), level))
        return self._keep(node, level, lambda: self._summed(node, level))

    def _keep(self, node: NameNode, level: int, count: Callable[[], Counter[Hashable]]) -> Counter[Hashable]:
        found = self._known.get((node.signature, level))
        if found is None:
            found = count()
            self._room -= len(found)
            if self._room < 0:
                self._known.clear()
                self._room = MOST_KEPT
            self._known[node.signature, level] = found
        return found

    def _summed(self, node: NameNode, level: int) -> Counter[Hashable]:
        """Add up the counts of the modules in a module, at a level that does not compare paths."""
        if node.is_unmade:
            return _count(node.tensors(), level)
        found: Counter[Hashable] = Counter()
        for part, inner in node.below.items():
            if inner.key is None:
                for what, count in self._all_contents(inner, level).items():
                    found[what] += count
            else:  # with what is below it, if it is a module as well
                found.update(_count([(f"{part}{name}", key) for name, key in inner.tensors()], level))
        return found


def _count(tensors: Iterable[Tensor], level: int) -> Counter[Hashable]:
    if level == 0:
        return Counter(tensors)
    if level == 1:
        return Counter((last_part(name), key) for name, key in tensors)
    return Counter(key for _, key in tensors)


def _in_common(first: Counter[Hashable], second: Counter[Hashable]) -> int:
    """Return how many elements two counts have in common."""
    if first is second:
        return first.total()
    less, more = sorted((first, second), key=len)
    return sum(min(count, more.get(each, 0)) for each, count in less.items())


def _by_name(one: NameNode, other: NameNode) -> Score | None:
    likeness = name_likeness(last_part(one.path), last_part(other.path))
    return (likeness,) if likeness else None


def _by_contents(one: NameNode, other: NameNode, shared: int, everything: int) -> Score | None:
    part = 2 * shared / everything if everything else 0.0
    if part < LEAST_IN_COMMON:
        return None
    return part, name_likeness(last_part(one.path), last_part(other.path))


class _Move(NamedTuple):
    """Two nodes with one name; `order` sorts those in the module with the most tensors in common first."""

    one: NameNode
    other: NameNode
    order: tuple[int, str]


def _moves(
    top: NameNodes, others: NameNodes, contents: Callable[[NameNode, int], Counter[Hashable]]
) -> Iterator[_Move]:
    """Yield each node of `top` with its namesake deeper in `others`, in the module that has most of them."""
    deeper: dict[str, list[tuple[NameNode, NameNode]]] = {part: [] for part in top}
    for around, part, node in namesakes(others.values(), top):
        if len(deeper[part]) < MOST_NAMESAKES:
            deeper[part].append((around, node))
    votes: Counter[str] = Counter()
    likely: dict[str, list[tuple[NameNode, NameNode]]] = {}
    for part, found in deeper.items():
        own = contents(top[part], 0) if found else Counter()
        for around, node in found:
            shared = _in_common(own, contents(node, 0))
            if shared >= LEAST_IN_COMMON * own.total():
                votes[around.path] += shared
                likely.setdefault(part, []).append((around, node))
    for part, found in likely.items():
        most = max(votes[around.path] for around, _ in found)
        best = [(around, node) for around, node in found if votes[around.path] == most]
        if len(best) == 1:
            yield _Move(top[part], best[0][1], (-most, best[0][0].path))
