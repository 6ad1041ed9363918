"""Which tensors overlap in memory, by the bytes that they cover.  No torch.

A strided tensor covers the bytes ``start + Σ stride·index + offset``, where ``offset < itemsize``.  Two
of them overlap exactly where an equation in bounded integers has a solution.  It is searched for from
the largest stride down; bounds and greatest common divisors leave a handful of steps for slices of one
tensor, however large they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Generic, TypeVar

from paramtool.records.extent import Extent

Key = TypeVar("Key", bound=Hashable)

MOST_STEPS = 20_000
"""Steps of the search for one pair; slices need a handful, made-up strides may need years."""

MOST_WORK = 1_000_000
"""Steps for all pairs of a model: seconds."""


@dataclass(frozen=True)
class Overlaps(Generic[Key]):
    """What overlaps.

    Attributes:
        groups: of two and more, each connected, in the order of their first members.
        doubtful: members of which it is not certain that they overlap with another.
    """

    groups: tuple[tuple[Key, ...], ...]
    doubtful: frozenset[Key]


def overlaps(extents: Mapping[Key, Extent]) -> Overlaps[Key]:
    """Return which extents overlap: where a does with b, and b with c, the three are one group.

    Where it would take too long to decide, what lies in one range of bytes is taken to overlap, and is
    marked as doubtful.
    """
    groups = Groups(extents)
    doubts: list[tuple[Key, Key]] = []
    search = _Search()
    for cluster in _clusters(extents):
        if len(cluster) == 1:
            continue
        if not any(extents[key].repeats for key in cluster):
            groups.join(*cluster)
            continue
        for one, other in _pairs(cluster, extents):
            if groups.are_one(one, other):
                continue
            found = search.overlap(extents[one], extents[other])
            if found:
                groups.join(one, other)
            elif found is None:
                doubts.append((one, other))
            if not search.work:
                doubts.extend(pairwise(cluster))
                break
    doubts = [pair for pair in doubts if not groups.are_one(*pair)]
    for pair in doubts:
        groups.join(*pair)
    return Overlaps(groups.of_several(), frozenset(key for pair in doubts for key in pair))


class Groups(Generic[Key]):
    """Members that are joined to groups; each begins as a group of its own."""

    def __init__(self, members: Iterable[Key]) -> None:
        self._parent = {each: each for each in members}

    def join(self, first: Key, *others: Key) -> None:
        """Make one group of the groups of all."""
        for each in others:
            self._parent[self.root(each)] = self.root(first)

    def root(self, member: Key) -> Key:
        """Return the member that stands for the group."""
        while self._parent[member] != member:
            self._parent[member] = self._parent[self._parent[member]]
            member = self._parent[member]
        return member

    def are_one(self, one: Key, other: Key) -> bool:
        return self.root(one) == self.root(other)

    def all(self) -> tuple[tuple[Key, ...], ...]:
        """Return the groups, in the order of their first members."""
        found: dict[Key, list[Key]] = {}
        for each in self._parent:
            found.setdefault(self.root(each), []).append(each)
        return tuple(map(tuple, found.values()))

    def of_several(self) -> tuple[tuple[Key, ...], ...]:
        """Return the groups of two and more."""
        if all(each is parent for each, parent in self._parent.items()):
            return ()
        return tuple(group for group in self.all() if len(group) > 1)


def _clusters(extents: Mapping[Key, Extent]) -> Iterator[list[Key]]:
    """Yield what may overlap: keys whose ranges, from first to last byte, are connected."""
    spaces: dict[Hashable, list[Key]] = {}
    for key, extent in extents.items():
        if not extent.is_empty:
            spaces.setdefault(extent.space, []).append(key)
    for keys in spaces.values():
        keys.sort(key=lambda key: extents[key].start)
        cluster, stop = [keys[0]], extents[keys[0]].stop
        for key in keys[1:]:
            if extents[key].start >= stop:
                yield cluster
                cluster = []
            cluster.append(key)
            stop = max(stop, extents[key].stop)  # the largest, not the last: a long one may hold several
        yield cluster


def _pairs(cluster: Sequence[Key], extents: Mapping[Key, Extent]) -> Iterator[tuple[Key, Key]]:
    """Yield the pairs whose ranges overlap, neighbours first: they alone often make one group of all."""
    yield from pairwise(cluster)
    for index, one in enumerate(cluster):
        for later in range(index + 1, len(cluster)):
            if extents[cluster[later]].start >= extents[one].stop:
                break
            yield one, cluster[later]


class _TooLong(Exception):
    """Raised if a search has no steps left."""


class _Search:
    """Decides whether two extents of one space have a byte in common."""

    def __init__(self) -> None:
        self.work = MOST_WORK

    def overlap(self, one: Extent, other: Extent) -> bool | None:
        """Return whether they do; None if that would take too long.

        With the indices of the other one counted from its end, every coefficient is positive: of the
        strides, and 1 of the bytes within a run.
        """
        bounds = Counter({1: one.run - 1 + other.run - 1})
        for stride, size in (*one.repeats, *other.repeats):
            bounds[stride] += size - 1
        before = self.work
        self._least = max(0, before - MOST_STEPS)
        try:
            return self._is_sum(other.stop - 1 - one.start, sorted(bounds.items(), reverse=True))
        except _TooLong:
            return None

    def _is_sum(self, target: int, terms: Sequence[tuple[int, int]]) -> bool:
        """Return whether target = Σ coefficient·x for whole numbers 0 ≤ x ≤ bound."""
        divisor, reach = [0], [0]  # of the terms from each one on
        for coefficient, bound in reversed(terms):
            divisor.append(gcd(divisor[-1], coefficient) if bound else divisor[-1])
            reach.append(reach[-1] + coefficient * bound)
        divisor.reverse()
        reach.reverse()

        def search(index: int, rest: int) -> bool:
            if self.work <= self._least:
                raise _TooLong
            self.work -= 1
            if index == len(terms):
                return rest == 0
            if not 0 <= rest <= reach[index] or rest % (divisor[index] or 1):
                return False
            coefficient, bound = terms[index]
            least = max(0, -((reach[index + 1] - rest) // coefficient))
            most = min(bound, rest // coefficient)
            first, period = _congruent(coefficient, rest, divisor[index + 1])
            least += (first - least) % period
            return any(search(index + 1, rest - coefficient * x) for x in range(least, most + 1, period))

        return search(0, target)


def _congruent(coefficient: int, rest: int, modulus: int) -> tuple[int, int]:
    """Return the least x, and the period of the others, with coefficient·x ≡ rest; there is one."""
    if not modulus:
        return 0, 1
    common = gcd(coefficient, modulus)
    period = modulus // common
    return rest // common * pow(coefficient // common, -1, period) % period, period
