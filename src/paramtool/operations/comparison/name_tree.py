"""Names as a tree of modules, in which whole modules are compared at once, and how alike two of them are."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from operator import attrgetter
from typing import TypeAlias, TypeVar

from paramtool.name_parts import MOST_PARTS, parts

_NOTHING: frozenset[tuple[str, int]] = frozenset()

NameNodes: TypeAlias = "dict[str, NameNode]"


class NameNode:
    """A module or a tensor: a part of a name.

    Attributes:
        path: the name down to here.
        around: the module that it is in; None for the root.
        below: the nodes below, by their part of the name.
        key: the number of what a tensor that ends here must agree in with its counterpart; None for a module.
        signature: equal for two nodes exactly when all names and keys below them are.
        is_paired: whether it has its counterpart.
        is_whole: whether neither it nor anything below it has one.
        is_spent: whether it was paired with all that is below it.
    """

    below: NameNodes = {}  # noqa: RUF012 - of a tensor, of which there are many; `add` makes another
    signature = 0
    is_paired = False
    is_whole = True
    is_spent = False

    def __init__(self, path: str, around: NameNode | None = None, key: int | None = None) -> None:
        self.path = path
        self.around = around
        self.key = key

    def inside(self, part: str, path: str | None = None) -> NameNode:
        """Return the node of a part below, made where it is not there.

        Args:
            part: of the name.
            path: of the node, where it is at hand.
        """
        node = self.below.get(part)
        if node is None:
            if path is None:
                path = f"{self.path}.{part}" if self.path else part
            node = NameNode(path, self)
            self.add(part, node)
        return node

    def add(self, part: str, node: NameNode) -> None:
        """Put a node below."""
        if not self.below:
            self.below = {}
        self.below[part] = node

    def pair(self) -> None:
        """Note that it has its counterpart."""
        self.is_paired = True
        node: NameNode | None = self
        while node is not None and node.is_whole:
            node.is_whole = False
            node = node.around

    def chain(self) -> list[NameNode]:
        """Return this module and those below it, as long as each is the only thing in the one before."""
        chain = [self]
        while len(chain[-1].below) == 1 and chain[-1].key is None:
            (only,) = chain[-1].below.values()
            if not only.below:
                break
            chain.append(only)
        return chain

    def leaves(self) -> list[tuple[str, NameNode]]:
        """Return every tensor at or below this node, by its name relative to it, in no order."""
        return _leaves(self, lambda _: False)

    def open_leaves(self) -> list[tuple[str, NameNode]]:
        """Return those of the `leaves` that have no counterpart."""
        return [(name, leaf) for name, leaf in _leaves(self, attrgetter("is_spent")) if not leaf.is_paired]


def _leaves(node: NameNode, is_closed: Callable[[NameNode], bool]) -> list[tuple[str, NameNode]]:
    found: list[tuple[str, NameNode]] = []
    left = [("", node)]
    while left:
        relative, node = left.pop()
        if is_closed(node):
            continue
        if node.key is not None:
            found.append((relative, node))
        for part, inner in node.below.items():
            if inner.below:
                left.append((f"{relative}.{part}", inner))
            else:
                found.append((f"{relative}.{part}", inner))
    return found


_Numbers: TypeAlias = "dict[tuple[int | None, frozenset[tuple[str, int]] | tuple[str, int]], int]"


def trees(a: Mapping[str, Hashable], b: Mapping[str, Hashable]) -> tuple[NameNodes, NameNodes]:
    """Return the names of two sides, each with its key, as nodes whose signatures compare."""
    keys: dict[Hashable, int] = {}
    numbers: _Numbers = {}
    roots = _tree(a, keys), _tree(b, keys)
    for root in roots:
        _sign(root, numbers)
    return roots[0].below, roots[1].below


def _tree(names: Mapping[str, Hashable], keys: dict[Hashable, int]) -> NameNode:
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
        number = keys.setdefault(key, len(keys))
        known = node.below.get(last)
        if known is None:
            node.add(last, NameNode(name, node, number))
        else:
            known.key = number
    return root


def _module(path: str, root: NameNode, known: dict[str, NameNode]) -> NameNode:
    """Return the node of a path; many names are in one module, and many modules in one other."""
    around, dot, last = path.rpartition(".")
    node = (known.get(around) or _module(around, root, known)) if dot else root
    found = known[path] = node.inside(last, path)
    return found


def _sign(node: NameNode, numbers: _Numbers) -> None:
    for each in node.below.values():
        if each.below:
            _sign(each, numbers)
        else:
            each.signature = numbers.setdefault((each.key, _NOTHING), len(numbers))
    if len(node.below) == 1:  # as of many modules, a Linear without a bias for example
        ((part, each),) = node.below.items()
        node.signature = numbers.setdefault((node.key, (part, each.signature)), len(numbers))
        return
    below = frozenset([(part, each.signature) for part, each in node.below.items()])
    node.signature = numbers.setdefault((node.key, below), len(numbers))


def namesakes(nodes: Iterable[NameNode], names: Collection[str]) -> Iterator[tuple[NameNode, str, NameNode]]:
    """Yield each node below `nodes` whose part of the name is one of `names`, the highest nodes first.

    It comes after the node that it is in and its part.
    """
    known: dict[int, bool] = {}
    level = list(nodes)
    while level:
        level = [node for node in level if _has_namesake(node, names, known)]
        for node in level:
            for part, inner in node.below.items():
                if part in names:
                    yield node, part, inner
        level = [inner for node in level for inner in node.below.values() if inner.below]


def _has_namesake(node: NameNode, names: Collection[str], known: dict[int, bool]) -> bool:
    """Return whether something below has one of the names: nodes of one signature have the same below."""
    if not node.below:
        return False
    found = known.get(node.signature)
    if found is None:
        inner = node.below.values()
        found = any(part in names for part in node.below)
        found = known[node.signature] = found or any(_has_namesake(each, names, known) for each in inner)
    return found


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
