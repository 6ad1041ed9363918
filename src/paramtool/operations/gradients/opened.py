"""Look into the functions that torch writes in Python, so that a mode sees what they call.

The handler of a function mode runs with the mode off.  When it passes
``F.multi_head_attention_forward`` on, the ``linear`` calls inside are not seen.  Entering the mode
again is not enough: the function's first line asks ``has_torch_function`` and would hand itself to the
mode forever.  So what is called instead is a copy of it, with the same code, for which that question
is answered with no.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

_QUESTIONS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@cache
def opened(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """Return a copy of `function` that does not ask for a mode; None for what has no Python inside."""
    if not isinstance(function, FunctionType):
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
