"""Look into the functions that torch writes in Python, so that a mode sees what they call.

The handler of a function mode runs with the mode off.  When it passes
``F.multi_head_attention_forward`` on, the ``linear`` calls inside are not seen.  Entering the mode
again is not enough: the function's first line asks ``has_torch_function`` and would hand itself to the
mode forever.  So what is called instead is a copy of it, with the same code, for which that question
is answered with no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_QUESTIONS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


BACKWARD = (Tensor.backward, torch.autograd.backward, torch.autograd.grad)
"""Functions that run a backward pass, where hooks and checkpoints run what a mode is to see."""


class FunctionMode(TorchFunctionMode):
    """A mode that stays on inside the functions that torch writes in Python."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[Callable[..., Any]] = []

    def opens(self, function: Callable[..., Any], types: Iterable[type]) -> bool:
        """Return whether `function`, whose arguments are of `types`, can be looked into.

        An argument of a class that answers for itself is asked first.  ``Tensor.unflatten`` calls what is
        known as ``Tensor.unflatten`` again; only a backward pass may really be inside of another.
        """
        return (
            _copied(function) is not None
            and (function in BACKWARD or function not in self._open)
            and not any(map(answers_itself, types))
        )

    def inside(self, function: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Call a function that opens, with this mode on."""
        copy = _copied(function)
        assert copy is not None
        self._open.append(function)
        try:
            with self:
                return copy(*arguments, **named)
        finally:
            self._open.pop()


@cache
def answers_itself(kind: type) -> bool:
    """Return whether a class of tensors has a ``__torch_function__`` of its own, as ``types`` name it."""
    method = getattr(kind, "__torch_function__", None)
    plain = (Tensor.__torch_function__.__func__, None)  # type: ignore[attr-defined]
    return getattr(method, "__func__", None) not in plain


@cache
def _copied(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return a copy of `function` that does not ask for a mode; None for what has no Python inside."""
    if not isinstance(function, FunctionType) or function.__name__.startswith("__"):
        return None
    asked = [name for name in _QUESTIONS if name in function.__code__.co_names]
    if not asked:
        return None
    names = {**function.__globals__, **dict.fromkeys(asked, _no)}
    copy = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _no(*_: object) -> bool:
    return False
