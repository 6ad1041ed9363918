"""Names as trees of modules, in which the tensors of an innermost numbered module stay together.

Most names of a large model are in such modules, ``h.0.mlp.experts.7``: there are many of these, whose
tensors have the same few names.  So each name is cut once, after its last number, and no node is made for
what follows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from paramtool.name_parts import MOST_PARTS

_TO_LAST_NUMBER = re.compile(r".*[0-9]\.", re.DOTALL)
_CUT_LINE = re.compile(r"(.*[0-9]\.)?(.*)\n")
_ROOT = ""


class Module:
    """A part of a name: what is below it, and the row of the name that ends here.

    Attributes:
        below: modules, and the indices of rows.
        row: the index of its own row; None if it has none.
        tensors: the indices of all rows in it by their names from here, in place of `below`; None for a
            module that may have numbered ones in it.
    """

    __slots__ = ("below", "row", "tensors")

    def __init__(self, row: int | None = None) -> None:
        self.below: dict[str, int | Module] = {}
        self.row = row
        self.tensors: Mapping[str, int] | None = None

    def at(self, part: str) -> Module:
        """Return the module below, made if it is not there."""
        found = self.below.get(part)
        if not isinstance(found, Module):
            found = self.below[part] = Module(found)
        return found

    def put(self, parts: Sequence[str], row: int) -> None:
        """Add the index of a row at a path, in place of an earlier one of its name."""
        *modules, last = parts
        module = self
        for part in modules:
            module = module.at(part)
        found = module.below.get(last)
        if isinstance(found, Module):
            found.row = row
        else:
            module.below[last] = row


def trees(names: Sequence[str], kinds: Sequence[str], *, whole: bool) -> Iterator[Module]:
    """Yield the names of each kind of rows as a tree.

    Args:
        names: a name for each row.
        kinds: a kind for each row.
        whole: whether every part of every name is a node.
    """
    groups: dict[str, dict[str, dict[str, int]]] = {kind: {} for kind in dict.fromkeys(kinds)}
    cuts = [("", name) for name in names] if whole else _cut(names)
    for row, ((head, rest), kind) in enumerate(zip(cuts, kinds, strict=True)):
        known = groups[kind]
        if head in known:
            known[head][rest] = row
        else:
            known[head] = {rest: row}
    own = set(names)
    return (_tree(known, own) for known in groups.values())


def _cut(names: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Return each name in two, cut after its last number with a dot; one that is deep is not cut."""
    lines = "\n".join((*names, ""))
    if lines.count("\n") == len(names) and not any(map(_is_deep, names)):
        return _CUT_LINE.findall(lines)  # which takes half the time
    return map(_cut_one, names)


def _is_deep(name: str) -> bool:
    return len(name) > MOST_PARTS and name.count(".") > MOST_PARTS


def _cut_one(name: str) -> tuple[str, str]:
    found = None if _is_deep(name) else _TO_LAST_NUMBER.match(name)
    end = found.end() if found else 0
    return name[:end], name[end:]


def _tree(groups: Mapping[str, Mapping[str, int]], names: Collection[str]) -> Module:
    """Return the tree of names that are cut in two: numbered modules with a dot, and what is in each."""
    mixed = {_ROOT, *_around(groups), *(head for head in groups if head[:-1] in names)}
    found: list[tuple[int, str, Mapping[str, int] | None]] = []
    for head, group in groups.items():
        if head in mixed:
            found += ((row, f"{head}{rest}", None) for rest, row in group.items())
        else:
            found.append((next(iter(group.values())), head[:-1], group))
    found.sort(key=lambda each: each[0])  # in the order of the rows, as the names in a module are
    root = Module()
    known: dict[str, Module] = {}
    for row, name, tensors in found:
        if tensors is not None:
            _module(name, root, known).tensors = tensors
        else:
            root.put(name.split(".", MOST_PARTS), row)
    return root


def _around(heads: Mapping[str, Mapping[str, int]]) -> set[str]:
    """Return the numbered modules with others in them, and those around a name that is not cut."""
    around: set[str] = set()
    for head in heads:
        found = _TO_LAST_NUMBER.match(head[:-1])
        while found and found[0] not in around:
            around.add(found[0])
            found = _TO_LAST_NUMBER.match(found[0][:-1])
    for name in heads.get(_ROOT, ()):
        if name.count(".") <= MOST_PARTS:
            continue
        parts = name.split(".", MOST_PARTS)
        around.update("".join(f"{part}." for part in parts[:count]) for count in range(1, len(parts)))
    return around


def _module(path: str, root: Module, known: dict[str, Module]) -> Module:
    """Return the module of a path, made if it is not there; `known` has those of earlier calls."""
    outer, dot, last = path.rpartition(".")
    module = (known.get(outer) or _module(outer, root, known)) if dot else root
    found = known[path] = module.at(last)
    return found


def put_all(rows: Mapping[str, int]) -> Module:
    """Return the tree of the names in a module, each of which has the index of a row."""
    root = Module()
    for name, row in rows.items():
        root.put(name.split("."), row)
    return root
