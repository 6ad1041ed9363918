"""Modules and tensors as a listing sees them: names, shapes and dtypes, and which are one object."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple, TypeAlias

from paramtool.language.tree import Tree
from paramtool.place import Place
from paramtool.structure.unsure import require

_MOST_DIMENSIONS = 16
_MOST_BYTES = 1 << 58
"""Torch refuses more than 2^63; nobody has a tensor in between."""

_DEEPEST_COPY = 20
"""Levels that ``copy.deepcopy`` is sure to copy: it takes six frames for each, and Python has 1,000."""


Source: TypeAlias = "tuple[Tree, str]"


class Tensor:
    """One tensor; two names are tied exactly if they have the same object.

    Attributes:
        shape, dtype, requires_grad: torch's; the dtype without ``torch.``.
        memory: the tensor whose memory it is over; None for its own.
        place: its node in the spec; None if torch made it.
        source: the node whose call, without modules or tensors, makes it, and its name in what that makes.
    """

    __slots__ = ("dtype", "memory", "place", "requires_grad", "shape", "source")

    def __init__(
        self, shape: tuple[int, ...], dtype: str, requires_grad: bool, memory: Tensor | None = None
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.requires_grad = requires_grad
        self.memory = memory
        self.place: Place | None = None
        self.source: Source | None = None


class Slot(NamedTuple):
    """A name for a tensor in a module.

    Attributes:
        kind: ``parameter``, ``buffer`` or ``tensor`` (a plain attribute).
        persistent: whether a buffer is in the state_dict; None if it is not a buffer.
    """

    name: str
    kind: str
    persistent: bool | None = None


class Module:
    """One module.

    Attributes:
        type: its class name.
        bases: the class names that it derives from, itself first.
        slots, tensors: its own tensors, side by side, in torch's order.
        children: its submodules by name.
        is_quiet_layer: whether a TransformerEncoder takes it as a layer without a warning.
        padding_idx: the row of an embedding's weight that gets no gradient.
        place: its node in the spec; None if torch made it.
    """

    __slots__ = ("bases", "children", "is_quiet_layer", "padding_idx", "place", "slots", "tensors", "type")

    def __init__(self, kind: str, bases: tuple[str, ...]) -> None:
        self.type = kind
        self.bases = bases
        self.slots: list[Slot] = []
        self.tensors: list[Tensor] = []
        self.children: dict[str, Module] = {}
        self.is_quiet_layer = False
        self.padding_idx: int | None = None
        self.place: Place | None = None

    def add(self, slot: Slot, tensor: Tensor) -> None:
        """Put `tensor` under a new name, before there are copies: they have the same list of slots."""
        self.slots.append(slot)
        self.tensors.append(tensor)


def walk(module: Module, prefix: str = "") -> Iterator[tuple[str, Module]]:
    """Yield the modules with a prefix for the names of their members, as ``named_modules`` does.

    A module with several paths comes with each.
    """
    yield prefix, module
    for name, child in module.children.items():
        yield from walk(child, f"{prefix}{name}.")


def check_shape(shape: tuple[int, ...], itemsize: int, fewest: int = 1) -> None:
    """Raise `Unsure` for sizes that torch warns about or refuses, or that are not integers."""
    require(len(shape) <= _MOST_DIMENSIONS, "many dimensions")
    for size in shape:
        require(type(size) is int and size >= fewest, "a size that is zero, negative or not an integer")
    require(prod(size or 1 for size in shape) * itemsize < _MOST_BYTES, "a huge tensor")


def again(module: Module) -> Module:
    """Return new modules and tensors like those of `module`, in which nothing is shared or written down."""
    new = Module(module.type, module.bases)
    new.slots = module.slots
    new.is_quiet_layer, new.padding_idx = module.is_quiet_layer, module.padding_idx
    new.tensors = [_again(each) for each in module.tensors]
    if module.children:
        new.children = {name: again(child) for name, child in module.children.items()}
    return new


def _again(tensor: Tensor) -> Tensor:
    new = Tensor(tensor.shape, tensor.dtype, tensor.requires_grad)
    new.source = tensor.source
    return new


def copied(module: Module) -> Module:
    """Return a ``copy.deepcopy``: new tensors and modules, shared with each other as before."""
    return _Copy().of(module, 0)


class _Copy:
    def __init__(self) -> None:
        self._modules: dict[int, Module] = {}
        self._tensors: dict[int, Tensor] = {}

    def of(self, module: Module, depth: int) -> Module:
        known = self._modules.get(id(module))
        if known is not None:
            return known
        require(depth < _DEEPEST_COPY, "a deep copy")
        copy = self._modules[id(module)] = Module(module.type, module.bases)
        copy.slots = module.slots
        copy.is_quiet_layer, copy.padding_idx = module.is_quiet_layer, module.padding_idx
        copy.tensors = [self._tensor(tensor) for tensor in module.tensors]
        if module.children:
            copy.children = {name: self.of(child, depth + 1) for name, child in module.children.items()}
        return copy

    def _tensor(self, tensor: Tensor) -> Tensor:
        known = self._tensors.get(id(tensor))
        if known is None:
            require(tensor.memory is None, "a copy of overlapping memory")
            known = Tensor(tensor.shape, tensor.dtype, tensor.requires_grad)
            self._tensors[id(tensor)] = known
        return known
