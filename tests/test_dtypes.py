"""Every bit pattern stands for the value that torch says, and casts round as torch does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from paramtool.elements.casts import cast
from paramtool.elements.dtypes import DTYPES, Array, Dtype
from paramtool.elements.scratch import Scratch
from paramtool.errors import ParamtoolError
from paramtool.tensors.arrays import array_of, tensor_of

FOUR_BITS = "float4_e2m1fn_x2"  # torch casts it to nothing
NAMES = [name for name in DTYPES if name != FOUR_BITS]
EDGES = (
    0.0, 1.0, 0.1, 1 / 3, math.nan, math.inf, 1e-45, 1e-40, 5e-324, 1e38, 3.4e38, 3.5e38, 1e300,
    65_504, 65_519.9, 65_520, 65_535, 65_536,  # of float16
    448, 464, 464.01, 480, 479.9, 240, 247.9, 248, 256, 57_344, 61_440, 61_441,  # of eight bits
    2**-9, 2**-10, 2**-10 * 1.0001, 3 * 2**-10, 2**-127, 2**-126, 1.5 * 2**-127, 0.75 * 2**-126, 1.5,
)  # fmt: skip


def torch_dtype(name: str) -> torch.dtype:
    found = getattr(torch, name)
    assert isinstance(found, torch.dtype)
    return found


def random_bits(dtype: Dtype, seed: int = 0) -> Array:
    """Return a block of every bit pattern of up to 16 bits, or of many random ones."""
    if dtype.itemsize <= 2:
        return np.arange(256**dtype.itemsize, dtype=f"u{dtype.itemsize}").view(dtype.held)
    drawn = np.random.default_rng(seed).integers(0, 256, 4096 * dtype.itemsize, np.uint8)
    return drawn.view(dtype.held)


def edges(dtype: Dtype) -> Array:
    """Return what is at the limits of some dtype, and numbers of all magnitudes."""
    torch.manual_seed(0)
    spread = torch.randn(4000, dtype=torch.float64) * 10.0 ** torch.randint(-12, 12, (4000,))
    numbers = torch.cat([torch.tensor([*EDGES, *(-each for each in EDGES)], dtype=torch.float64), spread])
    if dtype.kind not in ("float", "complex"):
        numbers = numbers.nan_to_num(0, 0, 0).clamp(0, 120)
    block: Array = array_of(numbers.to(torch_dtype(dtype.name)))[0].copy()
    return block


def values(block: Array, dtype: Dtype) -> Array:
    with np.errstate(invalid="ignore"):
        found: Array = dtype.wide(block, Scratch()).astype(
            np.complex128 if dtype.kind == "complex" else np.float64
        )
    return found


def are_equal(one: Array, other: Array) -> Array:
    parts = zip((one.real, one.imag), (other.real, other.imag), strict=True)
    found: Array = np.logical_and.reduce([(a == b) | (np.isnan(a) & np.isnan(b)) for a, b in parts])
    return found


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("name", NAMES)
def test_bits_stand_for_the_values_that_torch_says(name: str) -> None:
    """All patterns of 8 and 16 bits, random ones of more."""
    dtype, block = DTYPES[name], random_bits(DTYPES[name])
    tensor = tensor_of(block, torch_dtype(name))
    if name == "bool":
        tensor = tensor_of((block != 0).astype(np.uint8), torch.uint8)  # bool is undefined but for 0 and 1
    wide = tensor.to(torch.complex128 if dtype.kind == "complex" else torch.float64).numpy()
    assert are_equal(values(block, dtype), wide).all()


def test_four_bits_are_those_of_the_format() -> None:
    """Two values in a byte, that of the low bits first: 0x71 is 0.5 and 6."""
    block = np.array([0x71, 0xF2, 0x08], np.uint8)
    assert DTYPES[FOUR_BITS].wide(block, Scratch()).tolist() == [0.5, 6.0, 1.0, -6.0, -0.0, 0.0]


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("old", NAMES)
def test_a_cast_is_that_of_torch(old: str) -> None:
    """To the value, of everything that fits into the new dtype; halves round to even."""
    source = DTYPES[old]
    block = edges(source)
    if source.itemsize <= 2 and old != "bool":
        block = np.concatenate([block, random_bits(source)])
    tensor = tensor_of(block, torch_dtype(old))
    for new in NAMES:
        target = DTYPES[new]
        is_cut = source.kind == "complex" and target.kind != "complex"
        expected, _ = array_of((tensor.real if is_cut else tensor).to(torch_dtype(new)))
        same = are_equal(values(cast(block, source, target, Scratch()), target), values(expected, target))
        if target.kind == "int" and source.kind in ("float", "complex"):  # beyond them the machine decides
            limits, number = np.iinfo(target.held), values(block, source).real
            same |= ~((number >= limits.min) & (number < float(limits.max)))
        assert same.all(), (new, block[~same][:5])


def test_torch_does_not_cast_four_bits() -> None:
    """One line says so."""
    with pytest.raises(ParamtoolError, match="cannot compare float4_e2m1fn_x2 with float32"):
        cast(np.zeros(1, np.uint8), DTYPES[FOUR_BITS], DTYPES["float32"], Scratch())


@pytest.mark.parametrize("name", DTYPES)
def test_a_tensor_is_seen_without_a_copy(name: str) -> None:
    """NumPy sees the very memory, and torch the array's."""
    tensor = torch.zeros(8 * DTYPES[name].itemsize, dtype=torch.uint8).view(torch_dtype(name))
    block, dtype = array_of(tensor)
    assert (dtype.name, block.size) == (name, 8)
    assert block.ctypes.data == tensor.data_ptr() and not block.flags.writeable
    mine = block.copy()
    assert tensor_of(mine, tensor.dtype).data_ptr() == mine.ctypes.data
    assert tensor_of(mine, tensor.dtype).dtype == tensor.dtype


def test_an_array_holds_its_tensor_and_leaves_it_as_it_is() -> None:
    """The memory outlives the name, and a tensor that was looked at can still be resized."""
    block, _ = array_of(torch.full((1 << 20,), 3.0))
    torch.full((1 << 20,), 4.0)
    assert (block == 3).all()
    tensor = torch.zeros(3)
    array_of(tensor)
    assert tensor.resize_(9).shape == (9,)
