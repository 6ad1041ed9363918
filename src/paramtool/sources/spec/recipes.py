"""Which nodes are recipes, built anew at each use: the values of ``define``, the module of a Repeat.

An anchor inside a recipe names one module in each copy; this is told from where it is written.
"""

from __future__ import annotations

from paramtool.sources.spec.nodes import Mapping, Node


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
    if not isinstance(around, Mapping) or around.get("module") is not node:
        return False
    above = around.parent
    return isinstance(above, Mapping) and above.get("Repeat") is around
