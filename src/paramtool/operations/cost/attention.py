"""Which kernel of scaled_dot_product_attention runs, and what it computes.

On the CPU torch chooses between two.  ``flash`` never holds the scores, the matrix of queries by keys,
and saves what it was given, its output and a number for each query.  ``math`` is written in other
operations, and saves the scores.  The meta device always takes ``math``, so `CpuChoice` puts the other
one in its place where the CPU would take it.

torch.utils.flop_counter has no formula for the kernel of the CPU, so `FLOPS` adds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._device import _device_constructors

from paramtool.operations.gradients.function_mode import FunctionMode

_FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def _flash_flops(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Return 2 for each multiply-accumulate: scores are query · keyᵀ, the output is scores · value.

    Args:
        query: of the shape [batch, heads, queries, width].
        key: of the shape [batch, heads, keys, width]; there may be fewer heads of these.
        value: of the shape [batch, heads, keys, width of the output].
    """
    batch, heads, queries, width = query.shape
    return 2 * batch * heads * queries * key.shape[-2] * (width + value.shape[-1])


FLOPS: Mapping[Any, Callable[..., int]] = {_FLASH: _flash_flops}
"""Formulas that torch's counter lacks, from arguments to floating-point operations."""


class CpuChoice(FunctionMode):
    """The mode of a pass on the meta device: tensors are made there, and attention is that of the CPU."""

    def __init__(self) -> None:
        super().__init__()
        # The first operation on the meta device imports it, and what it raises and catches meanwhile would
        # keep the frames of the pass, and the tensors in them, alive.
        import_module("torch._dynamo")

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is scaled_dot_product_attention:
            return _attention(*args, **named)
        if self.opens(func, types):
            return self.inside(func, args, named)
        if func in _device_constructors() and named.get("device") is None:
            named["device"] = "meta"
        return func(*args, **named)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Do on the meta device what `scaled_dot_product_attention` does on the CPU."""
    is_valid = attn_mask is None or not is_causal  # else it raises
    if is_valid and takes_flash(query, key, value, attn_mask, dropout_p, grouped=enable_gqa):
        mask = _additive(attn_mask, query)
        return _FLASH(query, key, value, dropout_p, is_causal, attn_mask=mask, scale=scale)[0]  # type: ignore[no-any-return]
    return scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def takes_flash(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: float = 0.0,
    *,
    grouped: bool = False,
) -> bool:
    """Return whether torch takes the kernel ``flash`` on the CPU, as ``sdp_utils_cpp.cpp`` decides.

    Args:
        query, key, value: on any device.
        mask: that is added to the scores, or says which of them count.
        dropout: the probability.
        grouped: whether several heads of queries may share one of keys and values.
    """
    given = (query, key, value)
    if dropout or any(each.dim() != 4 or each.dtype not in _DTYPES or each.is_nested for each in given):
        return False
    if len({each.dtype for each in given}) > 1 or len({each.size(-1) for each in given}) > 1:
        return False
    heads = [each.size(1) for each in given]
    shares = grouped and heads[1] == heads[2] > 0 and heads[0] % heads[1] == 0
    if len({each.size(0) for each in given}) > 1 or not (shares or len(set(heads)) == 1):
        return False
    if 0 in (query.size(-2), key.size(-2), query.size(-1)) or any(each.stride(-1) != 1 for each in given):
        return False
    return mask is None or (not mask.requires_grad and _fits(mask, query, key))


def _fits(mask: Tensor, query: Tensor, key: Tensor) -> bool:
    rows, columns = query.size(-2), key.size(-2)
    if mask.dim() not in (2, 4) or mask.size(-2) not in (1, rows) or mask.size(-1) not in (1, columns):
        return False
    return mask.dim() == 2 or (mask.size(0) in (1, query.size(0)) and mask.size(1) in (1, query.size(1)))


def _additive(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """Return a mask of truth values as numbers to add, as torch makes it before the kernel."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), -math.inf)
