"""Gradients near the ends of float64: norms, shares, cosines and residuals stay what they are."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from paramtool import gradients
from paramtool.operations.gradients.magnitude import absolute_sum, magnitude, norm
from paramtool.operations.gradients.products import distance, inner, reading
from paramtool.operations.gradients.splits import Split


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e307, 1e-300, 1.0])
def test_shares_and_cosines_do_not_depend_on_the_scale(scale: float) -> None:
    """A use of (3, 4) in a total of (6, 8) and one of (4, -3) have shares 0.5 and 0, at any scale."""
    total = double(6, 8) * scale
    whole = magnitude(total)
    for values, share, cosine in (((3, 4), 0.5, 1.0), ((4, -3), 0.0, 0.0), ((-6, -8), -1.0, -1.0)):
        split = Split.__new__(Split)
        split.gradient = double(*values) * scale
        found = split.against(total, whole)
        assert found == pytest.approx((share, cosine), abs=1e-12)


def test_products_of_large_and_small_are_finite() -> None:
    """Units are divided out before anything is multiplied, in every block."""
    large = torch.full((70_000,), 1e200, dtype=torch.float64)
    signs = torch.where(torch.arange(70_000) > 40_000, 1.0, -1.0).double()
    assert inner(large * signs, large, 1e200, 1e200) == pytest.approx(29_999 - 40_001)
    assert distance(double(1.7e308, -1.7e308), [double(0.85e308, -0.85e308)], 1.7e308) == pytest.approx(
        math.sqrt(0.5)
    )
    found = magnitude(double(1.7e308, -1.7e308))
    assert found.norm == math.inf
    assert found.unit_norm == pytest.approx(math.sqrt(2))
    assert magnitude(double(-0.0)).abs_max == 0
    assert math.copysign(1, magnitude(double(-0.0)).abs_max) == 1


def test_absolute_values_are_added_in_float64() -> None:
    """Of what is expanded as well, of complex numbers, and of more than a block."""
    assert absolute_sum(torch.tensor(-0.5).expand(3, 100_000)) == 150_000
    assert absolute_sum(torch.tensor([[1.0], [-2.0]]).expand(2, 5)) == 15
    assert absolute_sum(torch.tensor([3 + 4j, 0])) == 5
    assert absolute_sum(torch.full((70_000,), -1.0).bfloat16()) == 70_000
    assert absolute_sum(torch.empty(0)) == 0
    assert math.isnan(absolute_sum(torch.tensor([1.0, math.nan])))


class Twice(nn.Module):
    """Uses one weight twice, with gradients of the sizes that it is told."""

    def __init__(self, first: float, second: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(double(0.1, 0.2))
        self.sizes = first, second

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight * self.sizes[0] + self.weight * self.sizes[1]


@pytest.mark.parametrize(("first", "second"), [(1e308, 0.5e308), (1e308, -0.9e308), (1e-320, 1e-310)])
def test_uses_add_up_near_the_ends(first: float, second: float) -> None:
    """The sum of the uses is the gradient: no false alarm where squares overflow or vanish."""
    report = gradients(Twice(first, second), [double(1, 1)])
    shares = [row.share for row in report.rows if row.kind == "use" and row.share is not None]
    assert len(shares) == 2
    assert sum(shares) == pytest.approx(1, rel=1e-6)


NUMBERS = [
    pytest.param(torch.randn(70_000, generator=torch.Generator().manual_seed(0)).to(dtype), id=str(dtype))
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64)
]


@pytest.mark.parametrize("tensor", NUMBERS)
def test_magnitudes_of_several_blocks_are_those_of_torch(tensor: Tensor) -> None:
    """In every dtype, to the precision of float64; the norm alone is the very same number."""
    found, wide = magnitude(tensor), tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)
    assert found.norm == pytest.approx(float(wide.norm()), rel=1e-13)
    assert found.abs_max == pytest.approx(float(wide.abs().max()), rel=1e-15)
    assert norm(tensor) == found.norm


@pytest.mark.parametrize("values", [(), (0.0,), (math.nan, 1), (math.inf, 1), (1e200, 1), (1e-200, 0)])
def test_the_norm_alone_is_that_of_the_magnitude(values: tuple[float, ...]) -> None:
    """Also where squares overflow or vanish, and where a number is not finite."""
    assert repr(norm(double(*values))) == repr(magnitude(double(*values)).norm)


@pytest.mark.parametrize("place", [0, 40_000, 69_999])
@pytest.mark.parametrize(("value", "verdict"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "inf")])
def test_one_element_in_any_block_decides(place: int, value: float, verdict: str) -> None:
    """Read alone or with the total, NaN is found before and after infinity."""
    tensor = torch.ones(70_000)
    tensor[place] = value
    assert magnitude(tensor).verdict == verdict
    assert not reading(tensor, [tensor]).is_plain
    tensor[35_000] = math.nan
    assert magnitude(tensor).verdict == "nan"


@pytest.mark.parametrize("tensor", NUMBERS)
def test_one_reading_gives_all_that_several_give(tensor: Tensor) -> None:
    """The magnitudes, the inner products with the total, and how far the parts are from it."""
    other = tensor.flip(0) / 3
    total = tensor + other
    found = reading(total, [tensor, other])
    assert found.is_plain
    assert found.products == pytest.approx([inner(tensor, total), inner(other, total)], rel=1e-13)
    assert found.distance == pytest.approx(distance(total, [tensor, other]), rel=1e-13)
    if not tensor.is_complex():  # whose largest value is a modulus
        assert [found.whole, *found.sizes] == [magnitude(each) for each in (total, tensor, other)]


def test_a_modulus_may_be_larger_than_its_dtype_holds() -> None:
    """Both parts are finite numbers of float32, and so is nothing else of the element."""
    found = magnitude(torch.tensor([3e38 + 3e38j, 1], dtype=torch.complex64))
    assert found.verdict == "ok"
    assert found.abs_max == pytest.approx(3e38 * math.sqrt(2))
    assert found.norm == pytest.approx(found.abs_max)
