"""Which tensors an operation writes in place.

This is the one answer to that question, for whoever keeps what a model had (`operations.gradients`) and for
whoever records what constructors drew (`network.fill_record`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from torch import Tensor
from torch._ops import OpOverload, OpOverloadPacket

from paramtool.tensors.nested_values import tensors

_IN_PLACE = re.compile(
    r".*[^_]_|__setitem__|__i(add|sub|mul|div|truediv|floordiv|mod|pow|and|or|xor|lshift|rshift|matmul)__"
)
_OF_SEVERAL = re.compile(r"_(foreach|fused)_.*_")
"""What writes several of its arguments."""

_OF_STATISTICS = re.compile(r".*(batch|instance)_norm.*")
"""What writes running statistics among its arguments: those that do not require grad."""

_HARMLESS = frozenset(("requires_grad_", "detach_", "share_memory_"))
"""What is called like a write, and changes no element."""

_HANDING_OUT = frozenset(
    ("__array__", "__dlpack__", "_typed_storage", "data_ptr", "numpy", "storage", "untyped_storage")
)
"""What gives the memory to somebody who may write there and whom torch does not see."""


def written(func: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any]) -> Iterator[Tensor]:
    """Yield the tensors that a call may write: none for an operation that returns something new."""
    if isinstance(func, (OpOverload, OpOverloadPacket)):
        if _is_mutable(func):
            yield from tensors((arguments, named))
        return
    if named.get("out") is not None:
        yield from tensors(named["out"])
    which = _which(getattr(func, "__name__", ""))
    if which == "first":
        yield from tensors(arguments[0] if arguments else named)
    elif which == "all":
        yield from tensors((arguments, named))
    elif which == "statistics":
        yield from (each for each in tensors((arguments, named)) if not each.requires_grad)


def hands_out(name: str) -> bool:
    """Return whether a function of that name gives its tensor's memory to code that torch does not see."""
    return name in _HANDING_OUT


@cache
def _which(name: str) -> str | None:
    """Return which arguments a function of that name writes: ``first``, ``all`` or ``statistics``."""
    if _OF_SEVERAL.fullmatch(name):
        return "all"
    if _OF_STATISTICS.fullmatch(name):
        return "statistics"
    is_write = name in _HANDING_OUT or (name not in _HARMLESS and _IN_PLACE.fullmatch(name))
    return "first" if is_write else None


@cache
def _is_mutable(operation: OpOverload[..., Any] | OpOverloadPacket[..., Any]) -> bool:
    """Return whether the schema of an operator, torch's own or a registered one, says that it writes."""
    if isinstance(operation, OpOverload):
        return operation._schema.is_mutable
    return any(getattr(operation, each)._schema.is_mutable for each in operation.overloads())  # type: ignore[no-untyped-call]
