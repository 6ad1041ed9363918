"""How many modules a tree stands for, counted before any of them is built."""

from __future__ import annotations

from paramtool.errors import ParamtoolError
from paramtool.language.limits import MAX_DEPTH, MAX_MODULES, MAX_RECURRENT_LAYERS
from paramtool.language.tree import (
    Anchored,
    ClassNode,
    Container,
    DefineUse,
    Repeat,
    ResidualNode,
    TensorNode,
    Tree,
    Value,
)

_RECURRENT = ("RNN", "LSTM", "GRU", "RNNBase")
_TRANSFORMERS = ("Transformer", "TransformerEncoderLayer", "TransformerDecoderLayer")
_MODULES_OF_A_LAYER = 12  # in one of torch's transformer layers


def check_size(tree: Tree) -> None:
    """Raise if a tree has too many modules or is nested too deep.

    A module is counted once for every name it goes by, so the names are bounded as well.

    Raises:
        ParamtoolError: at the innermost node that is too much.
    """
    _Sizes().of(tree)


class _Sizes:
    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, node: Tree) -> tuple[int, int]:
        """Return the number of modules and the depth."""
        key = id(node.define) if isinstance(node, DefineUse) else id(node)
        if key not in self._known:
            self._known[key] = (0, 0)  # a define that uses itself was refused when it was read
            self._known[key] = self._checked(node)
        return self._known[key]

    def _checked(self, node: Tree) -> tuple[int, int]:
        parts = [self.of(part) for part in _parts(node)]
        if isinstance(node, (Anchored, DefineUse)):
            return parts[0] if parts else (0, 0)
        count = 1 + sum(part[0] for part in parts)
        depth = 1 + max((part[1] for part in parts), default=0)
        if isinstance(node, Repeat):
            count = 1 + node.times * parts[0][0]
        elif isinstance(node, ClassNode):
            count *= _layers(node)
            if node.type in _RECURRENT and count > MAX_RECURRENT_LAYERS:
                message = f"{count:,} layers in one {node.type}; at most {MAX_RECURRENT_LAYERS:,}"
                raise ParamtoolError(message, node.place)
        if count > MAX_MODULES:
            raise ParamtoolError(f"this makes {count:,} modules; at most {MAX_MODULES:,}", node.place)
        if depth > MAX_DEPTH:
            raise ParamtoolError(f"modules nested deeper than {MAX_DEPTH} levels", node.place)
        return count, depth


def _layers(node: ClassNode) -> int:
    """Return how often the class builds its parts: `num_layers` of an encoder or an LSTM."""
    given = {name: value for name, value in node.arguments.items() if name.endswith("layers")}
    layers = sum(value for value in given.values() if isinstance(value, int))
    each = _MODULES_OF_A_LAYER if node.type in _TRANSFORMERS else 1
    return max(1, layers) * each


def _parts(node: Tree) -> list[Tree]:
    if isinstance(node, Container):
        return [child.node for child in node.children]
    if isinstance(node, (Repeat, ResidualNode)):
        return [node.module]
    if isinstance(node, Anchored):
        return [node.node]
    if isinstance(node, DefineUse):
        return [node.define.node] if node.define.node is not None else []
    if isinstance(node, ClassNode):
        values = [*node.positional, *node.arguments.values()]
        return [value for value in values if _is_node(value)]  # type: ignore[misc]
    return []


def _is_node(value: Value) -> bool:
    return isinstance(value, (ClassNode, Container, Repeat, ResidualNode, TensorNode, DefineUse, Anchored))
