"""Give every operation that takes a parameter a view of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from paramtool.operations.gradients import graph
from paramtool.operations.gradients.function_mode import BACKWARD, FunctionMode
from paramtool.operations.gradients.uses import Uses
from paramtool.tensors.nested_values import replaced, tensors

_DIFFERENTIABLE = ("T", "mT", "H", "mH", "real", "imag")
"""Attributes of a tensor that are operations; every other one is a look at the tensor itself."""

_ON_THE_TENSOR_ITSELF = frozenset(
    (
        "__set__", "__delete__", "__deepcopy__", "__reduce_ex__", "__setstate__", "__repr__", "__format__",
        "backward", "detach_", "module_load", "register_hook", "register_post_accumulate_grad_hook",
        "requires_grad_", "retain_grad", "set_", "share_memory_",
    )
)  # fmt: skip
"""What would do something else to a view."""


class Views(FunctionMode):
    """The mode; a new one for each block, since torch's modes are not to be entered twice."""

    def __init__(self, uses: Uses) -> None:
        super().__init__()
        self._uses = uses

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in BACKWARD:
            return self._backward(func, types, args, kwargs)
        self._uses.foreign |= _is_meddling(func)
        if not _is_open() or not self._takes((args, kwargs)) or _is_a_look(func, args):
            return func(*args, **kwargs)
        if self.opens(func, types):
            return self.inside(func, args, kwargs)
        views: dict[int, Tensor] = {}
        result = func(*self._given(args, views), **self._given(kwargs, views))
        if not views:  # the parameter is in what cannot be made again with a view in it
            return result
        for key, view in views.items():
            if result is view:  # a cast to the dtype that it has, and the like: nothing was done
                return self._uses.viewed[key]
        made = (args[0], result) if func is Tensor.__setitem__ else result
        for key in graph.reached(made, views):
            self._uses.add(_name(func), self._uses.viewed[key], views[key])
        return result

    def _backward(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """Run a backward pass in this mode, for what it may run forward again."""
        if func is torch.autograd.backward:
            self._uses.prepare_roots(tensors(args[0] if args else kwargs["tensors"]))
        return self.inside(func, args, kwargs) if self.opens(func, types) else func(*args, **kwargs)

    def _takes(self, value: Any) -> bool:
        """Return whether a parameter is in `value`."""
        return any(self._parameter(each) is not None for each in tensors(value))

    def _given(self, value: Any, views: dict[int, Tensor]) -> Any:
        """Return `value` with the view of this call, the same everywhere in it, for every parameter."""

        def view(tensor: Tensor) -> Tensor:
            parameter = self._parameter(tensor)
            if parameter is None:
                return tensor
            if id(parameter) not in views:
                views[id(parameter)] = torch.ops.aten.alias(parameter)
            return views[id(parameter)]

        return replaced(value, view)

    def _parameter(self, tensor: Tensor) -> Tensor | None:
        """Return the parameter that `tensor` is, if its uses are counted; a forward may freeze it."""
        return self._uses.viewed.get(id(tensor)) if tensor.requires_grad else None


def _is_open() -> bool:
    """Return whether an operation can be a use; below vmap and grad, views are of another kind."""
    return torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()


def _is_a_look(func: Callable[..., Any], args: Sequence[Any]) -> bool:
    """Return whether `func` is about the tensor itself and not about its values."""
    name = getattr(func, "__name__", "")
    if name == "view_as" and args[0] is args[-1]:  # so torch.autograd.graph finds the node of a leaf
        return True
    if name == "__get__":
        return getattr(func.__self__, "__name__", "") not in _DIFFERENTIABLE  # type: ignore[attr-defined]
    return name in _ON_THE_TENSOR_ITSELF


def _is_meddling(func: Callable[..., Any]) -> bool:
    """Return whether `func` hands out or sets a tensor's gradient, or a hook that may do so with any other.

    Who has a gradient may write there: ``parameter.grad.zero_()``, ``clip_grad_norm_``.
    """
    name = getattr(func, "__name__", "")
    return name.startswith("register_") or (
        name in ("__get__", "__set__") and getattr(func.__self__, "__name__", "") == "grad"  # type: ignore[attr-defined]
    )


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        return str(func.__self__.__name__)  # type: ignore[attr-defined]
    return str(name).strip("_") if str(name).startswith("__") else str(name)
