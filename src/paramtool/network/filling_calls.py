"""Which calls of torch fill a tensor by a law that numbers describe, so that it can be run again."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from paramtool.tensors.fills import CONSTANT, ELEMENTWISE, RANDOM

_METHODS = {getattr(Tensor, name): name for name in (*RANDOM, *CONSTANT, *ELEMENTWISE)}
_INITIALIZERS = {nn.init.uniform_: "uniform_", nn.init.normal_: "normal_", nn.init.constant_: "fill_"}
_FACTORIES = {torch.rand: "uniform_", torch.randn: "normal_"}
_CONSTANTS = {torch.zeros: 0.0, torch.ones: 1.0}
_LITERALS = (torch.tensor, torch.arange)


class CallLaw(NamedTuple):
    """What a call does to a tensor.

    Attributes:
        tensor: what it fills.
        method: the name of torch's method that does the same.
        numbers, named: the arguments of the method.
    """

    tensor: Any
    method: str
    numbers: tuple[float, ...]
    named: Mapping[str, float]


def is_literal(func: Callable[..., Any]) -> bool:
    """Return whether the elements of what `func` returns are written down in the call."""
    return func in _LITERALS


def law_of_call(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> CallLaw | None:
    """Return the law by which a call fills a tensor; None where more than numbers decides the elements.

    A generator of the caller's own, for one, gives values that no stream gives.
    """
    found = _law(func, args, kwargs, result)
    if found is None or kwargs.get("out") is not None:
        return None
    tensor, method, numbers, named = found
    generator = named.pop("generator", None)
    are_numbers = all(isinstance(each, (int, float)) for each in (*numbers, *named.values()))
    return CallLaw(tensor, method, tuple(numbers), named) if generator is None and are_numbers else None


def truncated_normal(mean: float, std: float, a: float, b: float) -> list[tuple[str, tuple[float, ...]]]:
    """Return the methods that draw from a normal law between `a` and `b`, by its inverse.

    From torch 2.13 on ``torch.nn.init.trunc_normal_`` draws again what lies outside, until nothing does,
    and on the meta device it does nothing at all.  The law is the same.
    """
    low, high = (math.erf((each - mean) / std / math.sqrt(2)) for each in (a, b))
    scale = std * math.sqrt(2)
    return [
        ("uniform_", (low, high)),
        ("erfinv_", ()),
        ("mul_", (scale,)),
        ("add_", (mean,)),
        ("clamp_", (a, b)),
    ]


def _law(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> tuple[Any, str, Sequence[Any], dict[str, Any]] | None:
    """Return the tensor, the method, and all of its arguments."""
    generator = {"generator": kwargs.get("generator")}
    if func in _METHODS:
        return args[0], _METHODS[func], args[1:], dict(kwargs)
    if func in _INITIALIZERS:
        bound = _bound(func, args, kwargs)
        generator = {"generator": bound.pop("generator", None)}
        tensor, *numbers = bound.values()
        return tensor, _INITIALIZERS[func], numbers, generator
    if func is nn.init.kaiming_uniform_:
        bound = _bound(func, args, kwargs)
        generator = {"generator": bound.pop("generator", None)}
        if 0 in bound["tensor"].shape:  # torch leaves it alone
            return bound["tensor"], "uniform_", (), generator
        limit = _kaiming_bound(**bound)
        return bound["tensor"], "uniform_", (-limit, limit), generator
    if func in _FACTORIES:
        return result, _FACTORIES[func], (), generator
    if func in _CONSTANTS:
        return result, "fill_", (_CONSTANTS[func],), {}
    if func is torch.full:
        return result, "fill_", (kwargs.get("fill_value", args[-1] if args else None),), {}
    return None


def _bound(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an initializer by name, in their order, defaults included."""
    given = _signature(func).bind(*args, **kwargs)
    given.apply_defaults()
    return dict(given.arguments)


_signature = cache(inspect.signature)


def _kaiming_bound(tensor: Tensor, a: float, mode: str, nonlinearity: Any) -> float:
    """Return the bound of He et al. 2015, equation 14, as ``torch.nn.init.kaiming_uniform_`` has it."""
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(tensor)
    gain = nn.init.calculate_gain(nonlinearity, a)
    return float(gain * (3.0 / (fan_in if mode == "fan_in" else fan_out)) ** 0.5)
