"""One module of torch.nn, which the table fills in member by member."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from paramtool.structure.facts import shipped_facts
from paramtool.structure.modules import Module, Slot, Tensor, check_shape
from paramtool.structure.unsure import Unsure, require

FLOATING = ("float64", "float32", "float16", "bfloat16")
"""The dtypes of parameters that torch is sure to initialize; for others it is asked."""


Make: TypeAlias = Callable[[str, Mapping[str, Any], str], Module]
"""Makes the module of a class from its arguments and the default dtype."""


class Layer:
    """Adds members to one module of torch.nn, in the order of its constructor.

    Attributes:
        module: the module itself.
        dtype: the dtype of tensors without one of their own.

    Raises:
        Unsure: for a class or dtype that is not certain.
    """

    def __init__(self, kind: str, dtype: str, make: Make) -> None:
        bases = shipped_facts().bases.get(kind)
        if bases is None:
            raise Unsure(f"{kind} is unknown")
        require(dtype in FLOATING, f"{kind} of {dtype}")
        self.module = Module(kind, bases)
        self.dtype = dtype
        self._make = make

    def parameter(self, name: str, *shape: int) -> None:
        """Add a parameter."""
        check_shape(shape, 8)
        self.module.add(Slot(name, "parameter"), Tensor(shape, self.dtype, True))

    def buffer(self, name: str, *shape: int, dtype: str | None = None) -> None:
        """Add a buffer that is in the state_dict."""
        check_shape(shape, 8)
        self.module.add(Slot(name, "buffer", True), Tensor(shape, dtype or self.dtype, False))

    def given(self, name: str, tensor: Tensor | None) -> None:
        """Add a tensor that was an argument as a buffer, unless it is None."""
        if tensor is not None:
            self.module.add(Slot(name, "buffer", True), tensor)

    def child(self, name: str, kind: str, **arguments: object) -> Module:
        """Add a submodule that the constructor makes, of the same dtype."""
        module = self.module.children[name] = self.made(kind, **arguments)
        return module

    def made(self, kind: str, **arguments: object) -> Module:
        """Return a module of the same dtype, which is not a submodule."""
        return self._make(kind, arguments, self.dtype)


Maker: TypeAlias = Callable[..., None]
"""Takes a Layer and, by torch's names, those arguments of the constructor that matter."""

Sizes: TypeAlias = "int | tuple[int, ...]"
"""One size for all dimensions, or one for each."""
