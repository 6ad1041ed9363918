"""Build structure only: every tensor on the meta device, every initialization switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from paramtool.tensors.writes import hands_out

_FILLS = (
    "uniform_", "normal_", "fill_", "zero_", "bernoulli_", "cauchy_", "exponential_", "geometric_",
    "log_normal_", "random_", "erfinv_", "clamp_", "mul_", "add_",
)  # fmt: skip
_INITIALIZERS = tuple(
    function
    for name, function in vars(torch.nn.init).items()
    if name.endswith("_") and not name.startswith("_") and callable(function)
)
_RANDOM = frozenset((torch.rand, torch.randn))
_NO_OPS = frozenset((*_INITIALIZERS, *(getattr(torch.Tensor, name) for name in _FILLS)))


class StructureOnly(TorchFunctionMode):
    """Give every factory without a device the meta device, and make in-place fills there no-ops.

    An explicit ``device="cpu"`` is honoured, as ``torch.device("meta")`` does: constructors compute lists
    of numbers so, which needs values.

    ``torch.device("meta")`` alone is not enough: the first random fill of a meta tensor imports
    torch's decompositions, about a second, and each one costs a dispatch through Python.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return on_meta(func, args, kwargs or {})


def on_meta(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call one function of torch, as `StructureOnly` has it.

    Raises:
        NotImplementedError: for the memory of a meta tensor, at whose address 0 a write would crash.
    """
    kwargs = dict(kwargs)
    if hands_out(getattr(func, "__name__", "")) and isinstance(args[0], torch.Tensor) and args[0].is_meta:
        raise NotImplementedError("a tensor on the meta device has no memory to write to")
    if func in _NO_OPS:
        tensor = args[0] if args else kwargs["tensor"]
        return tensor if tensor.is_meta else func(*args, **kwargs)
    if func in _device_constructors():
        if kwargs.get("device") is None:
            kwargs["device"] = "meta"
        elif torch.device(kwargs["device"]).type != "meta":
            return func(*args, **kwargs)
    if func in _RANDOM:
        kwargs.pop("generator", None)
        return torch.empty(*args, **kwargs)
    if func is torch.randint:
        size = kwargs["size"] if "size" in kwargs else args[-1]
        return torch.empty(size, dtype=kwargs.get("dtype") or torch.int64, device="meta")
    if func is torch.arange and len(args) == 1 and isinstance(args[0], int):  # imports them as well
        return torch.empty(args[0], dtype=kwargs.get("dtype") or torch.int64, device="meta")
    return func(*args, **kwargs)


@contextmanager
def default_dtype(name: str | None) -> Iterator[None]:
    """Make `name` the dtype of floating-point tensors that are created without one."""
    before = torch.get_default_dtype()
    if name is not None:
        torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)
