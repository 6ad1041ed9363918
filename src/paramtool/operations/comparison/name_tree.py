"""Names as a tree of modules, in which whole modules are compared at once, and how alike two of them are."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TypeAlias, TypeVar

from paramtool.name_parts import MOST_PARTS, parts

_NOTHING: frozenset[tuple[str, int]] = frozenset()

NameNodes: TypeAlias = "dict[str, NameNode]"


class NameNode:
    """A module or a tensor: a part of a name.

    Attributes:
        path: the name down to here.
        below: the nodes below, by their part of the name.
        key: what a tensor that ends here must agree in with its counterpart; None for a module.
        signature: equal for two nodes exactly when all names and keys below them are.
    """

    __slots__ = ("below", "key", "path", "signature")

    def __init__(self, path: str) -> None:
        self.path = path
        self.below: NameNodes = {}
        self.key: Hashable | None = None
        self.signature = 0

    def inside(self, part: str) -> NameNode:
        """Return the node of a part below, made where it is not there."""
        node = self.below.get(part)
        if node is None:
            node = self.below[part] = NameNode(f"{self.path}.{part}" if self.path else part)
        return node

    def chain(self) -> list[NameNode]:
        """Return this module and those below it, as long as each is the only thing in the one before."""
        chain = [self]
        while len(chain[-1].below) == 1 and chain[-1].key is None:
            (only,) = chain[-1].below.values()
            if not only.below:
                break
            chain.append(only)
        return chain

    def leaves(self, relative: str = "") -> Iterator[tuple[str, NameNode]]:
        """Yield every tensor at or below this node, by its name relative to it."""
        if self.key is not None:
            yield relative, self
        for part, node in self.below.items():
            yield from node.leaves(f"{relative}.{part}")


def trees(a: Mapping[str, Hashable], b: Mapping[str, Hashable]) -> tuple[NameNodes, NameNodes]:
    """Return the names of two sides, each with its key, as nodes whose signatures compare."""
    numbers: dict[Hashable, int] = {}
    return _tree(a, numbers), _tree(b, numbers)


def _tree(names: Mapping[str, Hashable], numbers: dict[Hashable, int]) -> NameNodes:
    root = NameNode("")
    modules: dict[str, NameNode] = {}
    for name, key in names.items():
        module, dot, last = name.rpartition(".")
        if not dot:
            node = root
        elif name.count(".") > MOST_PARTS:
            *around, last = parts(name)
            node = root
            for part in around:
                node = node.inside(part)
        else:
            node = modules.get(module) or _module(module, root, modules)
        node.inside(last).key = key
    _sign(root, numbers)
    return root.below


def _module(path: str, root: NameNode, known: dict[str, NameNode]) -> NameNode:
    """Return the node of a path; many names are in one module, and many modules in one other."""
    around, dot, last = path.rpartition(".")
    node = (known.get(around) or _module(around, root, known)) if dot else root
    found = known[path] = node.inside(last)
    return found


def _sign(node: NameNode, numbers: dict[Hashable, int]) -> int:
    below = _NOTHING
    if node.below:
        below = frozenset([(part, _sign(each, numbers)) for part, each in node.below.items()])
    node.signature = numbers.setdefault((node.key, below), len(numbers))
    return node.signature


def descendants(nodes: Iterable[NameNode]) -> Iterator[tuple[NameNode, str, NameNode]]:
    """Yield each node below `nodes` after the node that it is in and its part, the highest nodes first."""
    level = list(nodes)
    while level:
        for node in level:
            for part, inner in node.below.items():
                yield node, part, inner
        level = [inner for node in level for inner in node.below.values()]


Item = TypeVar("Item")
Score: TypeAlias = "tuple[float, ...]"

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


def mutually_best(
    first: Sequence[Item], second: Sequence[Item], score: Callable[[Item, Item], Score | None]
) -> list[tuple[Item, Item]]:
    """Return the pairs in which each is the other's best, and none is as good.

    Args:
        first, second: what is to be paired.
        score: larger is better; None for what never pairs.
    """
    scores = [[score(one, other) for other in second] for one in first]
    best = [_only_best(row) for row in scores]
    back = [_only_best([row[index] for row in scores]) for index in range(len(second))]
    return [
        (one, second[index])
        for number, one in enumerate(first)
        if (index := best[number]) is not None and back[index] == number
    ]


def _only_best(scores: Sequence[Score | None]) -> int | None:
    known = sorted(((score, index) for index, score in enumerate(scores) if score is not None), reverse=True)
    if not known or (len(known) > 1 and known[0][0] == known[1][0]):
        return None
    return known[0][1]


def name_likeness(one: str, other: str) -> float:
    """Return how much two parts of names have in common: their words, then how they begin."""
    words, others = set(_words(one)), set(_words(other))
    shared = len(words & others) / (len(words | others) or 1)
    begin = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return shared + (0.5 * begin / max(len(one), len(other)) if not one[:1].isdigit() else 0)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text)]
