"""Dtypes that a product refuses on the CPU and takes on the meta device, which computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_aten = torch.ops.aten

_OPERANDS: Mapping[Any, slice] = {
    _aten.mm: slice(2),
    _aten.mv: slice(2),
    _aten.addmm: slice(1, 3),
    _aten.addmv: slice(1, 3),
    _aten.convolution: slice(2),
}
"""Where the factors stand; the meta device itself checks those of the other products."""


def check_operands(operation: Any, given: Sequence[Any]) -> None:
    """Refuse a product of integers and other numbers on the meta device, as the CPU does.

    Two dtypes of floating point pass: autocast, which is not seen from here, would make them one.

    Args:
        operation: of torch.ops, without its overload.
        given: its positional arguments.

    Raises:
        RuntimeError: much as torch words it.
    """
    factors = [each for each in given[_OPERANDS.get(operation, slice(0))] if isinstance(each, Tensor)]
    dtypes = list(dict.fromkeys(each.dtype for each in factors))
    are_integers = {not (each.is_floating_point or each.is_complex) for each in dtypes}
    if len(are_integers) < 2 or not all(each.is_meta for each in factors):
        return
    found = " and ".join(str(each).removeprefix("torch.") for each in dtypes)
    raise RuntimeError(f"the factors must have the same dtype, but got {found}")
