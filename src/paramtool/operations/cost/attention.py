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
_CHOSEN = 1
"""What torch calls this kernel, in ``SDPBackend``."""


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
    """The mode of a pass on the meta device: tensors are made there, and attention runs as on the CPU."""

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
        given = (
            (query, key, value) if query.dim() > 3 else [each.unsqueeze(0) for each in (query, key, value)]
        )
        result: Tensor = _FLASH(*given, dropout_p, is_causal, attn_mask=mask, scale=scale)[0]
        return result if query.dim() > 3 else result.squeeze(0)
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
    """Return whether torch takes the kernel ``flash`` on the CPU; small tensors stand in for the given ones.

    Args:
        query, key, value: on any device.
        mask: numbers to add to the scores, or booleans for the scores that count.
        dropout: the probability.
        grouped: whether several heads of queries may share one of keys and values.
    """
    given = [each for each in (query, key, value, mask) if each is not None]
    if any(each.is_nested or each.layout is not torch.strided for each in given):
        return False
    sizes = sorted({size for each in given for size in each.shape if size > 1})
    like = {size: 2 + index for index, size in enumerate(sizes)}
    small = [_small(each, like, (-3, -1)) for each in given[:3]]
    bias = None if mask is None else _small(mask, like, (-3,))
    choose: Any = torch._fused_sdp_choice
    try:
        return int(choose(*small, bias, dropout, False, enable_gqa=grouped)) == _CHOSEN
    except (RuntimeError, IndexError):  # what the operation itself will refuse
        return False


def _small(tensor: Tensor, like: Mapping[int, int], exact: Sequence[int]) -> Tensor:
    """Return a tensor on the CPU for which torch chooses the same: sizes are as equal as they were.

    Args:
        tensor: on any device.
        like: a small size for each.
        exact: the dimensions that keep theirs: heads, and the width.
    """
    places = zip(range(-tensor.dim(), 0), tensor.shape, strict=True)
    shape = [size if place in exact else like.get(size, size) for place, size in places]
    is_turned = tensor.dim() > 0 and tensor.stride(-1) != 1
    with torch._C.DisableTorchFunction():
        made = torch.empty([*shape, 2] if is_turned else shape, dtype=tensor.dtype, device="cpu")
        made = made[..., 0] if is_turned else made
        return made.requires_grad_(tensor.requires_grad and made.is_floating_point())


def _additive(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """Return a boolean mask as numbers to add, as torch converts it for the kernel."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), -math.inf)
