"""torch's dtypes: how NumPy holds their elements, and what values the bits stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from paramtool.elements import eight_bits
from paramtool.elements.scratch import Scratch
from paramtool.errors import NoValues

Array: TypeAlias = "NDArray[Any]"
Widen: TypeAlias = "Callable[[Array, Scratch], Array]"


@dataclass(frozen=True)
class Dtype:
    """One dtype of torch.

    Attributes:
        name: torch's, ``bfloat16``.
        held: the dtype of NumPy in which blocks come: the same, or unsigned integers for the bits.
        kind: what the values are.
        widen: makes float32, float64, complex64 or complex128 of a block; None if NumPy has the dtype.
        values: how many values there are in one element: 2 in float4_e2m1fn_x2.
    """

    name: str
    held: np.dtype[Any]
    kind: Literal["float", "int", "bool", "complex"]
    widen: Widen | None = None
    values: int = 1

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self.held.itemsize

    def wide(self, block: Array, scratch: Scratch) -> Array:
        """Return the values as float32, float64, complex64 or complex128, exactly but for large integers.

        Args:
            block: flat.
            scratch: where the result may be, until the next call with it.
        """
        if self.widen is not None:
            return self.widen(block, scratch)
        if block.dtype in _READY:
            return block
        if self.kind == "bool":
            return _into(scratch, block != 0, np.float64)
        return _into(scratch, block, np.float64)

    def scalars(self, block: Array) -> list[Any]:
        """Return the values as Python's own numbers, the same that ``Tensor.tolist`` returns."""
        if self.kind in ("int", "bool"):
            return list((block != 0 if self.kind == "bool" else block).tolist())
        return list(self.wide(block, Scratch()).tolist())


def dtype_of(name: str, tensor: str) -> Dtype:
    """Return the dtype by torch's name.

    Args:
        name: without ``torch.``.
        tensor: what has it, for the message.

    Raises:
        NoValues: if the values of such tensors cannot be read.
    """
    if name not in DTYPES:
        raise NoValues(f"cannot read the values of {tensor}: {name} is not supported")
    return DTYPES[name]


def memory_of(block: Array) -> memoryview:
    """Return the bytes of a flat block; it must outlive them."""
    return block.view(np.uint8).data


def bits(block: Array) -> Array:
    """Return the bits of a flat block as unsigned integers, a row for each element."""
    return block.view(f"u{min(block.itemsize, 8)}").reshape(block.size, -1)


def _into(scratch: Scratch, block: Array, dtype: DTypeLike) -> Array:
    wide = scratch.take("wide", block.size, dtype)
    with np.errstate(invalid="ignore"):  # a NaN that signals is a NaN
        np.copyto(wide, block, casting="unsafe")
    return wide


def _bfloat16(block: Array, scratch: Scratch) -> Array:
    wide = _into(scratch, block, np.uint32)
    np.left_shift(wide, 16, out=wide)
    return wide.view(np.float32)


def _complex32(block: Array, scratch: Scratch) -> Array:
    return _into(scratch, block.view(np.float16), np.float32).view(np.complex64)


def _eight_bits(name: str) -> Widen:
    def widen(block: Array, scratch: Scratch) -> Array:
        wide = scratch.take("wide", block.size, np.float32)
        return np.take(eight_bits.table(name), block, out=wide, mode="clip")

    return widen


def _pairs(block: Array, scratch: Scratch) -> Array:
    wide = scratch.take("wide", 2 * block.size, np.float32)
    np.take(eight_bits.pairs(), block, axis=0, out=wide.reshape(-1, 2), mode="clip")
    return wide


_READY = frozenset(map(np.dtype, ("float32", "float64", "complex64", "complex128")))

_WHOLE = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")

DTYPES = {
    each.name: each
    for each in (
        *(Dtype(name, np.dtype(name), "float") for name in ("float64", "float32", "float16")),
        Dtype("bfloat16", np.dtype(np.uint16), "float", _bfloat16),
        *(
            Dtype(name, np.dtype(np.uint8), "float", _eight_bits(name))
            for name in (*eight_bits.FORMATS, "float8_e8m0fnu")
        ),
        Dtype("float4_e2m1fn_x2", np.dtype(np.uint8), "float", _pairs, values=2),
        *(Dtype(name, np.dtype(name), "int") for name in _WHOLE),
        Dtype("bool", np.dtype(np.uint8), "bool"),  # a file may hold other bytes than 0 and 1
        Dtype("complex32", np.dtype(np.uint32), "complex", _complex32),
        *(Dtype(name, np.dtype(name), "complex") for name in ("complex64", "complex128")),
    )
}
"""By torch's names, the dtypes whose values are read."""
