"""What Python keeps of a module: its attributes, hooks and children, and the marks of its tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from paramtool.tensors.fsdp import is_own_hook
from paramtool.tensors.sharding import local_of

_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_Container = dict[Any, Any] | list[Any] | set[Any]


@contextmanager
def same_attributes(module: nn.Module) -> Iterator[None]:
    """Leave all modules with the attributes that they have: what a forward pass sets is taken back.

    Lists, dictionaries and sets get their members back, which holds for the hooks, children, parameters
    and buffers that torch keeps in them; what is deeper inside them, or in an object of another class,
    is not looked at.  The hooks by which FSDP2 shards what it saves stay: it adds them once, at the first
    forward.
    """
    modules = list(module.modules())
    saved = [(each, type(each), getattr(each, "training", None), dict(vars(each))) for each in modules]
    members = [(value, _members(value)) for each in modules for value in vars(each).values() if _holds(value)]
    states = [
        (value, value.get_state())
        for each in modules
        for value in vars(each).values()
        if isinstance(value, torch.Generator)
    ]
    try:
        yield
    finally:
        for each, kind, training, attributes in saved:
            if type(each) is not kind:
                each.__class__ = kind
            _put_back(vars(each), list(attributes.items()))
            if training is not None:  # a frozen scripted module has none
                each.training = training  # a scripted module keeps it elsewhere
        for container, before in members:
            _put_back(container, [*before, *_hooks_of_fsdp(container, before)])
        for generator, state in states:
            generator.set_state(state)


@dataclass(frozen=True)
class _Marks:
    """What a tensor has besides its values."""

    tensor: Tensor
    data: Tensor
    requires_grad: bool
    hooks: tuple[list[Any] | None, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> _Marks:
        hooks = (getattr(tensor, name) for name in _HOOKS)
        before = tuple(None if each is None else _members(each) for each in hooks)
        return cls(tensor, tensor.data, tensor.requires_grad, before)

    def put_back(self) -> None:
        if _place(self.tensor) != _place(self.data):
            self.tensor.data = self.data
        if self.tensor.requires_grad != self.requires_grad:
            self.tensor.requires_grad_(self.requires_grad)
        for name, before in zip(_HOOKS, self.hooks, strict=True):
            hooks = getattr(self.tensor, name)
            if hooks is not None:  # emptied where there were none: torch has a pointer to it
                _put_back(hooks, before or [])


@contextmanager
def same_marks(module: nn.Module) -> Iterator[None]:
    """Leave the parameters and buffers without gradients now, and as they were afterwards.

    Their gradients, hooks, ``requires_grad``, versions, and the memory that they refer to are put back.
    """
    tensors = [each for each in (*module.parameters(), *module.buffers()) if each.is_leaf]
    saved = [_Marks.of(each) for each in tensors]
    counted = tuple(each for each in tensors if not each.is_inference())
    with same_gradients(tensors), _unsafe_preserve_version_counter(counted):
        try:
            yield
        finally:
            for each in tensors:
                each.grad = None  # that of other data may not fit
            for marks in saved:
                marks.put_back()


@contextmanager
def same_gradients(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Leave `tensors` with the gradients that they have, which the block does not see."""
    saved = [(each, each.grad) for each in tensors]
    for each, _ in saved:
        each.grad = None
    try:
        yield
    finally:
        for each, gradient in saved:
            each.grad = gradient


def is_hooked(parameter: nn.Parameter) -> bool:
    """Return whether a hook of the parameter's own may change its gradient, after the uses were added up."""
    return bool(parameter._backward_hooks or parameter._post_accumulate_grad_hooks)


def _place(tensor: Tensor) -> object:
    """Return what stays equal while a tensor lies over the same memory in the same way."""
    tensor = local_of(tensor)
    if tensor.is_nested or tensor.layout is not torch.strided:
        return tensor.layout
    where = tensor.storage_offset(), tensor.untyped_storage()._cdata
    return tensor.dtype, tensor.shape, tensor.stride(), *where


def _holds(value: Any) -> bool:
    return isinstance(value, (dict, list, set))


def _members(value: _Container) -> list[Any]:
    return list(value.items() if isinstance(value, dict) else value)


def _put_back(value: _Container, before: list[Any]) -> None:
    now = _members(value)
    if len(now) == len(before) and all(map(_is_same, now, before)):
        return
    if isinstance(value, list):
        value[:] = before
    else:
        value.clear()
        value.update(before)


def _hooks_of_fsdp(container: _Container, before: list[Any]) -> list[Any]:
    """Return the hooks that FSDP2 has added to a dictionary."""
    if not isinstance(container, dict) or len(container) <= len(before):
        return []
    known = {key for key, _ in before}
    return [(key, value) for key, value in container.items() if key not in known and is_own_hook(value)]


def _is_same(a: Any, b: Any) -> bool:
    """Compare by identity: tensors compare element by element, and pairs are made anew each time."""
    if a is b:
        return True
    return type(a) is type(b) is tuple and len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))
