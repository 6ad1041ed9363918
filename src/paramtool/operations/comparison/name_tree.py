"""Names as a tree of modules, in which a whole module is compared at once.  No torch."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeAlias

from paramtool.name_parts import MOST_PARTS

Nodes: TypeAlias = "dict[str, Node]"


class Node:
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
        self.below: Nodes = {}
        self.key: Hashable | None = None
        self.signature = 0

    def chain(self) -> list[Node]:
        """Return this module and those below it, as long as each is the only thing in the one before."""
        chain = [self]
        while len(chain[-1].below) == 1 and chain[-1].key is None:
            (only,) = chain[-1].below.values()
            if not only.below:
                break
            chain.append(only)
        return chain

    def leaves(self, relative: str = "") -> Iterator[tuple[str, Node]]:
        """Yield every tensor at or below this node, by its name relative to it."""
        if self.key is not None:
            yield relative, self
        for part, node in self.below.items():
            yield from node.leaves(f"{relative}.{part}")


def trees(a: Mapping[str, Hashable], b: Mapping[str, Hashable]) -> tuple[Nodes, Nodes]:
    """Return the names of two sides, each with its key, as nodes whose signatures compare."""
    numbers: dict[Hashable, int] = {}
    return _tree(a, numbers), _tree(b, numbers)


def _tree(names: Mapping[str, Hashable], numbers: dict[Hashable, int]) -> Nodes:
    root = Node("")
    for name, key in names.items():
        node = root
        for part in name.split(".", MOST_PARTS):
            if part not in node.below:
                node.below[part] = Node(f"{node.path}.{part}" if node.path else part)
            node = node.below[part]
        node.key = key
    _sign(root, numbers)
    return root.below


def _sign(node: Node, numbers: dict[Hashable, int]) -> int:
    below = frozenset((part, _sign(each, numbers)) for part, each in node.below.items())
    node.signature = numbers.setdefault((node.key, below), len(numbers))
    return node.signature


def descendants(nodes: Iterable[Node]) -> Iterator[tuple[Node, str, Node]]:
    """Yield each node below `nodes` after the node that it is in and its part, the highest nodes first."""
    level = list(nodes)
    while level:
        for node in level:
            for part, inner in node.below.items():
                yield node, part, inner
        level = [inner for node in level for inner in node.below.values()]
