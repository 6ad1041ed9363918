"""Names as a tree of modules, in which whole modules are compared at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from paramtool.module_tree import Module, put_all
from paramtool.module_tree import trees as module_trees

NameNodes: TypeAlias = "dict[str, NameNode]"

Tensor: TypeAlias = "tuple[str, int]"
"""The name of a tensor in a module, and the number of its key."""

_NONE: NameNodes = {}
"""What is below a tensor, of which there are many."""


class _Side(NamedTuple):
    """What the nodes of one tree have in common.

    Attributes:
        names: of all tensors.
        keys: the number of each one's key.
        signatures: of both trees, by what is below a node.
    """

    names: Sequence[str]
    keys: Sequence[int]
    signatures: dict[Hashable, int]


class NameNode:
    """A module or a tensor: a part of a name.

    Attributes:
        path: the name down to here.
        around: the module that it is in; None for the root.
        key: the number of the key of a tensor that ends here, equal in its counterpart; None for a module.
        signature: equal for two nodes exactly when all names and keys below them are.
        size: the number of tensors at or below it.
        is_paired: whether it has its counterpart.
        is_whole: whether neither it nor anything below it has one.
        is_spent: whether it was paired with all that is below it.
    """

    signature = 0
    size = 1
    is_paired = False
    is_whole = True
    is_spent = False

    def __init__(
        self, side: _Side, path: str, around: NameNode | None = None, key: int | None = None
    ) -> None:
        self.path = path
        self.around = around
        self.key = key
        self._side = side
        self._below = _NONE
        self._tensors: Mapping[str, int] | None = None

    @classmethod
    def of(cls, side: _Side, inner: Module | int, path: str, around: NameNode | None) -> NameNode:
        """Return the node of a module or of the index of a tensor, without signatures."""
        row = inner.row if isinstance(inner, Module) else inner
        node = cls(side, path, around) if row is None else cls(side, side.names[row], around, side.keys[row])
        if isinstance(inner, Module):
            node._tensors = inner.tensors
            start = "" if around is None else f"{path}."
            if inner.below:
                node._fill(inner, start)
        return node

    def _fill(self, module: Module, start: str) -> None:
        self._below = {
            part: NameNode.of(self._side, inner, f"{start}{part}", self)
            for part, inner in module.below.items()
        }

    @property
    def below(self) -> NameNodes:
        """The nodes below by their part of the name, which are made on first use."""
        if self._tensors is not None:
            tensors, self._tensors = self._tensors, None
            self._fill(put_all(tensors), f"{self.path}.")
            for each in self._below.values():
                each.sign()
                if self.is_spent:
                    each.spend()
        return self._below

    @property
    def is_unmade(self) -> bool:
        """Whether the nodes below it are still to be made."""
        return self._tensors is not None

    @property
    def is_module(self) -> bool:
        """Whether anything is below it."""
        return self._tensors is not None or bool(self._below)

    def spend(self) -> None:
        """Note that all of it was paired."""
        self.is_paired = self.is_spent = True
        self.is_whole = False
        for each in self._below.values():
            each.spend()

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
        while chain[-1].key is None and not chain[-1]._has_several and len(chain[-1].below) == 1:
            (only,) = chain[-1].below.values()
            if not only.is_module:
                break
            chain.append(only)
        return chain

    @property
    def _has_several(self) -> bool:
        """Whether it surely has several nodes below, before any is made."""
        return self._tensors is not None and len({name.partition(".")[0] for name in self._tensors}) > 1

    def pairs(self, other: NameNode) -> Iterator[tuple[str, str]]:
        """Yield the names of all tensors at or below this node and `other`, which has the same signature."""
        left = [(self, other)]
        while left:
            one, two = left.pop()
            if one.key is not None:
                yield one.path, two.path
            if one._tensors is not None and two._tensors is not None:
                names, others = one._side.names, two._side.names
                for name, row in one._tensors.items():
                    yield names[row], others[two._tensors[name]]
            elif one.is_module:
                below = two.below
                left += [(node, below[part]) for part, node in one.below.items()]

    def tensors(self) -> list[Tensor]:
        """Return every tensor at or below this node, in no order."""
        return self._all(lambda _: False)

    def open_tensors(self) -> list[Tensor]:
        """Return those of the `tensors` that have no counterpart."""
        return self._all(attrgetter("is_paired"))

    def _all(self, is_closed: Callable[[NameNode], bool]) -> list[Tensor]:
        found: list[Tensor] = []
        left = [("", self)]
        while left:
            relative, node = left.pop()
            if node.key is not None and not is_closed(node):
                found.append((relative, node.key))
            if node.is_spent and is_closed(node):
                continue
            if node._tensors is not None:
                keys = self._side.keys
                found += [(f"{relative}.{name}", keys[row]) for name, row in node._tensors.items()]
            left += [(f"{relative}.{part}", inner) for part, inner in node._below.items()]
        return found

    def common(self, other: NameNode, known: dict[tuple[int, int], int]) -> int:
        """Return how many tensors at or below two nodes agree in their names from there, and in their keys.

        Args:
            other: of the other tree.
            known: what was found of two signatures; whatever is found is added.
        """
        if self.signature == other.signature:
            return self.size
        pair = self.signature, other.signature
        if pair in known:
            return known[pair]
        if self._tensors is not None and other._tensors is not None:
            found = len(dict(self.tensors()).items() & dict(other.tensors()).items())
        else:
            below = other.below
            found = sum(
                inner.common(below[part], known) for part, inner in self.below.items() if part in below
            )
            found += self.key is not None and self.key == other.key
        known[pair] = found
        return found

    def sign(self) -> None:
        """Find the signatures and sizes of this node and of all that is below it."""
        known, signatures = None, self._side.signatures
        if self._tensors is not None:
            keys = self._side.keys
            self.size = len(self._tensors)
            known = tuple(self._tensors), tuple([keys[row] for row in self._tensors.values()])
            if known in signatures:
                self.signature = signatures[known]
                return
        for each in self.below.values():
            each.sign()
        if self._below:
            self.size = sum(each.size for each in self._below.values()) + (self.key is not None)
        below = frozenset([(part, each.signature) for part, each in self._below.items()])
        self.signature = signatures.setdefault((self.key, below), len(signatures))
        if known is not None:
            signatures[known] = self.signature


def trees(a: Mapping[str, Hashable], b: Mapping[str, Hashable]) -> tuple[NameNode, NameNode]:
    """Return the names of two sides, each with its key, as nodes whose signatures compare."""
    keys: dict[Hashable, int] = {}
    signatures: dict[Hashable, int] = {}
    found = []
    for names in (a, b):
        numbers = [keys.setdefault(key, len(keys)) for key in names.values()]
        side = _Side(list(names), numbers, signatures)
        module = next(module_trees(side.names, [""] * len(names), whole=False), Module())
        root = NameNode.of(side, module, "", None)
        root.sign()
        found.append(root)
    return found[0], found[1]


def namesakes(nodes: Iterable[NameNode], names: Collection[str]) -> Iterator[tuple[NameNode, str, NameNode]]:
    """Yield each node below `nodes` whose part of the name is one of `names`, the highest nodes first.

    Before it in the tuple are the node that contains it and its part of the name.
    """
    known: dict[int, bool] = {}
    level = list(nodes)
    while level:
        level = [node for node in level if _has_namesake(node, names, known)]
        for node in level:
            for part, inner in node.below.items():
                if part in names:
                    yield node, part, inner
        level = [inner for node in level for inner in node.below.values() if inner.is_module]


def _has_namesake(node: NameNode, names: Collection[str], known: dict[int, bool]) -> bool:
    """Return whether something below has one of the names: nodes of one signature have the same below."""
    if not node.is_module:
        return False
    found = known.get(node.signature)
    if found is None:
        inner = node.below.values()
        found = any(part in names for part in node.below)
        found = known[node.signature] = found or any(_has_namesake(each, names, known) for each in inner)
    return found
