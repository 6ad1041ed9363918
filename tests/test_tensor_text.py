"""The text of a small tensor is that of torch, to the last blank."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from paramtool.elements.dtypes import DTYPES
from paramtool.elements.tensor_text import printed_elements
from paramtool.tensors.arrays import tensor_of
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.printed import printed

SIZES = st.sampled_from((0, 1, 2, 3, 6, 7, 8, 20, 120))
POOLS = (
    (0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 1e-5, 1e5, 123_456_789.0, 0.1, -3.5, 1e-4, 1e8),
    (0.0493, -0.1234, 0.5, -1.0),
    (3.0, -12.0, 1_000.0, 0.0),
    (1e-30, 2.5, -1e30),
    (999.5, 0.99996, 9.99996, -0.00004),
)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Draw a tensor of any dtype: of any bits, or of numbers that are printed in one way or another."""
    name = draw(st.sampled_from(list(DTYPES)))
    dtype, torch_dtype = DTYPES[name], getattr(torch, name)
    shape = draw(st.lists(SIZES, max_size=4).filter(lambda sizes: math.prod(sizes) < 3000))
    if name == "float4_e2m1fn_x2":
        shape = shape or [1]  # of a single one torch prints nothing, but raises
    count = math.prod(shape)
    dice = np.random.default_rng(draw(st.integers(0, 10_000)))
    pool = draw(st.sampled_from((None, *POOLS)))
    if pool is None or name == "float4_e2m1fn_x2":
        drawn = dice.integers(0, 2 if name == "bool" else 256, count * dtype.itemsize).astype(np.uint8)
        return tensor_of(drawn.view(dtype.held), torch_dtype).reshape(shape)
    numbers = torch.from_numpy(dice.choice(pool, count))
    if dtype.kind == "complex":
        numbers = torch.complex(numbers, torch.from_numpy(dice.choice(pool, count)))
        return numbers.to(torch.complex64).to(torch_dtype).reshape(shape)
    if dtype.kind != "float":
        numbers = numbers.nan_to_num(0, 0, 0).clamp(0, 100)
    return numbers.to(torch_dtype).reshape(shape)


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@given(tensors())
@settings(max_examples=150, deadline=None)
def test_the_text_is_that_of_torch(tensor: Tensor) -> None:
    """Widths, signs, exponents, line breaks, what is left out of a large one, and the dtype."""
    found = printed_elements(TensorElements({"x": tensor}), "x")
    assert found.text == str(tensor)
    if tensor.dtype != torch.float4_e2m1fn_x2:
        assert repr(found.values) == repr(printed(tensor).values)


def test_the_values_of_four_bits_are_pairs() -> None:
    """torch prints the bytes; the numbers are what they stand for."""
    tensor = torch.tensor([[0x71], [0x2F]], dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    found = printed_elements(TensorElements({"x": tensor}), "x")
    assert found.values == (((0.5, 6.0),), ((-6.0, 1.0),))
