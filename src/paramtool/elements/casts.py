"""What is left of a value once it is stored in another dtype, as ``Tensor.to`` leaves it."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from paramtool.elements.dtypes import Array, Dtype
from paramtool.elements.eight_bits import encode
from paramtool.elements.scratch import Scratch
from paramtool.errors import ParamtoolError


def cast(block: Array, old: Dtype, new: Dtype, scratch: Scratch, *, may_have_nan: bool = True) -> Array:
    """Return a flat block of `old` as a block of `new`, whose bits it then holds.

    Values that a dtype of whole numbers does not reach are left as this machine's instructions leave
    them, as torch does.

    Args:
        block: flat.
        old, new: dtypes.
        scratch: where the result may be, until the next call with it.
        may_have_nan: False spares a look for NaN.

    Raises:
        ParamtoolError: if torch has no such cast.
    """
    if old == new:
        return block
    if not can_cast(old, new):
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
            return _into(wide, new.held, scratch, "cast")
        single = _into(wide, np.float32, scratch, "single")  # torch rounds to short floats by way of float32
        if new.name == "float16":
            return _into(single, np.float16, scratch, "cast")
        if new.name == "bfloat16":
            return _to_bfloat16(single, scratch, may_have_nan)
        return encode(single, new.name, scratch)


def can_cast(old: Dtype, new: Dtype) -> bool:
    """Return whether torch casts one dtype to the other."""
    return old == new or 2 not in (old.values, new.values)


def _into(wide: Array, dtype: DTypeLike, scratch: Scratch, purpose: str) -> Array:
    """Return the values in a dtype of NumPy: those given, if they are of it and lie together."""
    if wide.dtype == dtype and wide.flags.c_contiguous:
        return wide
    found = scratch.take(purpose, wide.size, dtype)
    np.copyto(found, wide, casting="unsafe")
    return found


def _to_complex(wide: Array, new: Dtype) -> Array:
    if new.name != "complex32":
        return wide.astype(new.held)
    parts = np.ascontiguousarray(wide.astype(np.complex64)).view(np.float32)
    return parts.astype(np.float16).view(np.uint32)


def _to_bfloat16(single: Array, scratch: Scratch, may_have_nan: bool) -> Array:
    """Round to the nearest of 16 bits, the even one of two; NaN is 0x7FC0."""
    bits: Array = single.view(np.uint32)
    rounded = scratch.take("bits", bits.size, np.uint32)
    np.right_shift(bits, 16, out=rounded)
    np.bitwise_and(rounded, 1, out=rounded)
    np.add(rounded, 0x7FFF, out=rounded)
    np.add(rounded, bits, out=rounded)
    found = scratch.take("cast", bits.size, np.uint16)
    np.right_shift(rounded, 16, out=found, casting="unsafe")  # quicker than to take every second half
    if may_have_nan and (is_nan := np.isnan(single)).any():
        found[is_nan] = 0x7FC0
    return found
