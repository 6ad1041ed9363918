"""Walk the graph that autograd keeps of a forward pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from paramtool.tensors.nested_values import tensors

_RESHAPING = frozenset(
    (
        "view", "reshape", "unsafe_view", "transpose", "permute", "t", "squeeze", "unsqueeze", "clone",
        "alias", "expand", "select", "slice", "unbind", "to_copy", "as_strided", "reshape_alias",
    )
)  # fmt: skip
"""Operations that hand on values as they are."""


def nodes(roots: Iterable[Tensor]) -> list[Node]:
    """Return every node that the backward pass of `roots` runs."""
    waiting = [each.grad_fn for each in roots if each.grad_fn is not None]
    found = dict.fromkeys(waiting)
    while waiting:
        for following, _ in waiting.pop().next_functions:
            if following is not None and following not in found:
                found[following] = None
                waiting.append(following)
    return list(found)


def leaves(roots: Iterable[Tensor]) -> list[Tensor]:
    """Return the tensors whose gradients the backward pass of `roots` adds to."""
    variables = (getattr(node, "variable", None) for node in nodes(roots))
    return [each for each in variables if each is not None]


def down_from(node: Node | None) -> Iterator[Node]:
    """Yield the nodes from that of a view down to its parameter: one, and for a subclass of Tensor two."""
    while node is not None and node.next_functions:
        yield node
        node = node.next_functions[0][0]


def reached(result: Any, views: Mapping[int, Tensor]) -> list[int]:
    """Return the keys of those `views` that the operation which returned `result` hands gradients to.

    Only nodes that are younger than the views are looked at: those of that operation.
    """
    wanted = {view.grad_fn: key for key, view in views.items()}
    oldest = min(node._sequence_nr() for node in wanted if node is not None)
    waiting = [each.grad_fn for each in tensors(result) if each.grad_fn is not None]
    seen = set(waiting)
    found = []
    while waiting:
        node = waiting.pop()
        if node in wanted:
            found.append(wanted[node])
        elif node._sequence_nr() >= oldest:
            following = {each for each, _ in node.next_functions if each is not None} - seen
            seen |= following
            waiting.extend(following)
    return sorted(found, key=list(views).index)


def operation(node: Node) -> str:
    """Return what a node is the backward pass of: ``t`` for TBackward0; a custom function's own name."""
    name = re.sub(r"Backward\d*$", "", node.name().rpartition("::")[2])
    return name if is_python(node) else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def is_python(node: Node) -> bool:
    """Return whether a node is a custom ``autograd.Function``."""
    return isinstance(node, BackwardCFunction)


def last_operation(output: Tensor) -> Node | None:
    """Return the node of the operation that made the values of `output`, past those that reshape."""
    node = output.grad_fn
    while node is not None and operation(node) in _RESHAPING and node.next_functions:
        node = node.next_functions[0][0]
    return node
