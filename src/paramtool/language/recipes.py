"""Which nodes are recipes, built anew at each use: the values of ``define``, the module of a Repeat.

An anchor inside a recipe names one module in each copy; this is told from where it is written.
"""

from __future__ import annotations

from paramtool.language.nodes import Mapping, Node


def root(node: Node, defines: Mapping | None) -> Node | None:
    """Return the root of the innermost recipe that `node` is written in, or None."""
    current: Node | None = node
    while current is not None:
        if current.parent is not None and (current.parent is defines or _is_repeated(current)):
            return current
        current = current.parent
    return None


def is_alias(node: Node, holder: Mapping | None) -> bool:
    """Tell whether `node`, found in `holder`, is an alias of an anchor written elsewhere."""
    return node.anchor is not None and node.parent is not holder


def _is_repeated(node: Node) -> bool:
    around = node.parent
    above = around.parent if around is not None else None
    if not isinstance(around, Mapping) or not isinstance(above, Mapping):
        return False
    # only then the search for the module: a mapping may have 70,000 keys, and an anchor under each
    return [key.raw for key, _ in above.entries[:2]] == ["Repeat"] and around.get("module") is node
