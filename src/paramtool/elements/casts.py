"""What is left of a value once it is stored in another dtype, as ``Tensor.to`` leaves it."""

from __future__ import annotations

import numpy as np

from paramtool.elements.dtypes import Array, Dtype
from paramtool.elements.eight_bits import encoder
from paramtool.elements.scratch import Scratch
from paramtool.errors import ParamtoolError


def cast(block: Array, old: Dtype, new: Dtype, scratch: Scratch) -> Array:
    """Return a flat block of `old` as a block of `new`, whose bits it then holds.

    Values that a dtype of whole numbers does not reach are left as this machine's instructions leave
    them, as torch does.

    Raises:
        ParamtoolError: if torch has no such cast.
    """
    if old == new:
        return block
    if 2 in (old.values, new.values):
        message = f"cannot compare {old.name} with {new.name}: torch does not cast one to the other"
        raise ParamtoolError(message)
    with np.errstate(all="ignore"):
        wide = block if old.kind == "int" else old.wide(block, scratch)
        if old.kind == "complex" and new.kind != "complex":
            wide = wide.real
        if new.kind == "bool":
            return np.not_equal(wide, 0).view(np.uint8)
        if new.kind == "complex":
            return _to_complex(wide, new)
        if new.kind == "int" or new.name in ("float64", "float32"):
            return wide.astype(new.held)
        single = wide.astype(np.float32)  # torch rounds to the short floats by way of float32
        if new.name == "float16":
            return single.astype(np.float16)
        return _to_bfloat16(single) if new.name == "bfloat16" else encoder(new.name)(single)


def _to_complex(wide: Array, new: Dtype) -> Array:
    if new.name != "complex32":
        return wide.astype(new.held)
    parts = np.ascontiguousarray(wide.astype(np.complex64)).view(np.float32)
    return parts.astype(np.float16).view(np.uint32)


def _to_bfloat16(single: Array) -> Array:
    """Round to the nearest of 16 bits, the even one of two; NaN is 0x7FC0."""
    bits: Array = single.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    found: Array = np.where(np.isnan(single), np.uint32(0x7FC0), rounded).astype(np.uint16)
    return found
