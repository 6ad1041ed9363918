"""The decorator for an initializer of one's own; it imports nothing but the errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from paramtool.errors import BadArgument, shorten

FIRST = "tensor"
"""What the first parameter of an initializer is called; one that is declared may call it otherwise."""

_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

Function = TypeVar("Function", bound=Callable[..., Any])


@overload
def initializer(function: Function, /) -> Function: ...
@overload
def initializer(*, replaces: bool = True, exact: bool = False) -> Callable[[Function], Function]: ...
def initializer(
    function: Function | None = None, /, *, replaces: bool = True, exact: bool = False
) -> Function | Callable[[Function], Function]:
    """Declare a function ``(tensor, **options)`` an initializer, which fills its tensor in place.

    The function itself is returned, with the attributes `replaces` and `exact`; plain attributes mean
    the same.

    Example:
        >>> import torch
        >>> @initializer(replaces=False)
        ... def prune(tensor, below=5.0):
        ...     tensor.mul_(tensor.abs() >= below)
        >>> prune.replaces
        False

    Args:
        function: whose first parameter is the tensor; its other parameters are arguments of rules.
        replaces: whether it sets every element.  It is then given NaN, so that an element which it leaves
            out is an error.  If False it is given the present values, and changes some.
        exact: whether it wants the tensor's own dtype, and may write NaN.  If False it is given float32,
            so that what is drawn does not depend on the dtype; the result is cast.

    Raises:
        BadArgument: if `replaces` or `exact` is not a bool, or `function` cannot be called with a tensor.
    """
    for name, value in (("replaces", replaces), ("exact", exact)):
        if not isinstance(value, bool):
            hint = f"@paramtool.initializer({name}=False)"
            raise BadArgument(f"'{name}' must be bool, got {shorten(repr(value))}", hint=hint)

    def declare(function: Function) -> Function:
        _check(function)
        vars(function).update(replaces=replaces, exact=exact)
        return function

    return declare if function is None else declare(function)


def is_declared(function: object) -> bool:
    """Return whether a function was declared an initializer, or has the attributes of one."""
    return not {"replaces", "exact"}.isdisjoint(vars(function))


def _check(function: object) -> None:
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        message = f"an initializer must be a plain function, got {shorten(repr(function))}"
        raise BadArgument(message, hint=f"@paramtool.initializer above def my_law({FIRST}, scale=1.0)")
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind not in _BY_POSITION:
        got = f"'{first.name}', which is given by name" if first else "none"
        message = f"the first parameter of '{function.__name__}' must be the tensor, got {got}"
        raise BadArgument(message, hint=f"e.g. def {function.__name__}({FIRST}, scale=1.0)")
    if function.__name__.startswith("_"):
        raise BadArgument(
            f"the name of an initializer must not begin with '_', got '{function.__name__}'",
            hint="rules use the function's name",
        )
