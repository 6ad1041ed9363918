"""Statistics of a tensor, taken block by block, are those of the whole in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from paramtool.elements import moments
from paramtool.elements import statistics as module
from paramtool.elements.elements import BLOCK
from paramtool.elements.statistics import BINS, SAMPLE
from paramtool.tensors import elements as live
from paramtool.tensors.statistics import statistics

NOTHING = dict.fromkeys(("mean", "std", "min", "max", "norm", "histogram"))
NAN, INF = math.nan, math.inf

FLOATS = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)
WHOLE = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.bool)
HUGE_FLOATS = st.floats(-1e307, 1e307)


def in_small_blocks(tensor: Tensor, block: int, sample: int = SAMPLE) -> dict[str, Any]:
    """Return the statistics with blocks and samples so small that a small tensor has several."""
    with pytest.MonkeyPatch.context() as patch:
        for each in (moments, live):
            patch.setattr(each, "BLOCK", block)
        patch.setattr(module, "CHUNK", 3 * block)
        patch.setattr(module, "SAMPLE", sample)
        return statistics(tensor)


def counts_in_bins(values: list[float]) -> tuple[int, ...]:
    """Count in plain Python: equal bins from the smallest to the largest, which is in the last bin."""
    counts = [0] * BINS
    low, high = min(values), max(values)
    for value in values:
        index = BINS // 2 if low == high else int((value - low) * BINS / (high - low))
        counts[min(index, BINS - 1)] += 1
    return tuple(counts)


def check_against_torch(tensor: Tensor, found: dict[str, Any]) -> None:
    """Hold every statistic to what torch says of all elements in float64 at once."""
    whole = tensor.double().flatten()
    finite = whole[whole.isfinite()]
    assert found["nan"] == int(whole.isnan().sum())
    assert found["inf"] == int(whole.isinf().sum())
    assert found["zeros"] == int((whole == 0).sum())
    if not len(finite):
        assert {key: found[key] for key in NOTHING} == NOTHING
        return
    scale = float(finite.abs().max())
    assert found["min"] == float(finite.min()) and found["max"] == float(finite.max())
    assert found["mean"] == pytest.approx(float(finite.mean()), rel=1e-9, abs=1e-12 * scale)
    assert found["norm"] == pytest.approx(float(torch.linalg.vector_norm(finite)), rel=1e-9)
    if len(finite) == 1:
        assert found["std"] is None
    else:
        assert found["std"] == pytest.approx(float(finite.std()), rel=1e-9, abs=1e-9 * scale)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Draw a tensor of any shape and dtype, in places not finite, and not always contiguous."""
    shape = draw(st.lists(st.integers(0, 7), max_size=3))
    dtype = draw(st.sampled_from((*FLOATS, *EIGHT_BITS, *WHOLE)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    values = values * draw(st.sampled_from((1e-3, 1.0, 50.0))) + draw(st.sampled_from((0.0, 3.0)))
    if dtype in WHOLE:
        tensor = values.round().clamp(0, 100).to(dtype)
    else:
        odd = draw(st.sampled_from((0.0, 0.0, NAN, INF, -INF)))
        if odd != 0.0:
            values[torch.rand(shape, generator=generator) < draw(st.sampled_from((0.2, 1.0)))] = odd
        tensor = values.to(dtype)
    return tensor.transpose(0, -1) if tensor.ndim > 1 and draw(st.booleans()) else tensor


@given(tensors(), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_statistics_are_those_of_torch(tensor: Tensor, block: int) -> None:
    """Whatever the shape, the dtype and the size of a block, torch says the same in float64."""
    check_against_torch(tensor, in_small_blocks(tensor, block))


@pytest.mark.parametrize("dtype", [*FLOATS[1:], *EIGHT_BITS, torch.float8_e8m0fnu], ids=str)
def test_any_bits_have_statistics(dtype: torch.dtype) -> None:
    """Subnormals, infinities, every NaN, extremes and -0 are what torch takes them for, without a warning."""
    dice = torch.Generator().manual_seed(0)
    bits = torch.randint(0, 256, (4096 * dtype.itemsize,), dtype=torch.uint8, generator=dice)
    tensor = bits.view(dtype)
    check_against_torch(tensor, statistics(tensor))


@given(tensors(), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_blocks_do_not_show(tensor: Tensor, one: int, other: int) -> None:
    """Counts, extremes and the histogram do not depend on the size of a block at all."""
    exact = ("min", "max", "zeros", "nan", "inf", "histogram")
    first, second = in_small_blocks(tensor, one), in_small_blocks(tensor, other)
    assert {key: first[key] for key in exact} == {key: second[key] for key in exact}


@given(tensors(), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_the_histogram_counts_evenly_spaced_elements(tensor: Tensor, sample: int) -> None:
    """The histogram counts all finite elements, or every third, fifth, … of a tensor with more."""
    found = in_small_blocks(tensor, 8, sample)
    flat = tensor.double().flatten()
    step = math.ceil(len(flat) / sample) | 1
    assert len(flat[::step]) <= sample or step == 1
    counted = [value for value in flat[::step].tolist() if math.isfinite(value)]
    if found["histogram"] is None:
        assert not flat.isfinite().any()
        return
    assert sum(found["histogram"]) == len(counted)
    if step == 1:
        assert found["histogram"] == counts_in_bins(counted)


@given(st.lists(st.floats(-1e6, 1e6) | st.integers(-20, 20).map(float), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_the_histogram_is_exact(values: list[float]) -> None:
    """Every bin has the elements that counting in plain Python gives it."""
    assert statistics(torch.tensor(values, dtype=torch.float64))["histogram"] == counts_in_bins(values)


@given(st.lists(HUGE_FLOATS, min_size=1, max_size=20), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_any_float64_has_statistics(values: list[float], block: int) -> None:
    """What float64 can hold is right, whatever the squares on the way; the rest is infinite, not NaN."""
    found = in_small_blocks(torch.tensor(values, dtype=torch.float64), block)
    assert (found["min"], found["max"]) == (min(values), max(values))
    largest = max(map(abs, values))
    mean = sum(map(Fraction, values)) / len(values)
    assert found["norm"] == pytest.approx(math.hypot(*values), rel=1e-12)
    assert found["mean"] == pytest.approx(float(mean), rel=1e-12, abs=1e-14 * largest)
    if len(values) > 1:
        apart = [float((Fraction(value) - mean) / 2) for value in values]
        std = math.hypot(*(each / math.sqrt(len(values) - 1) for each in apart)) * 2
        assert found["std"] == pytest.approx(std, rel=1e-6, abs=1e-7 * largest)
    assert sum(found["histogram"]) == len(values)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (
            torch.tensor([1.0, 2.0, 3.0, 4.0]),
            {"mean": 2.5, "std": math.sqrt(5 / 3), "min": 1.0, "max": 4.0, "norm": math.sqrt(30)},
        ),
        (torch.tensor([0.0, -0.0, 3.0]), {"zeros": 2, "mean": 1.0, "min": 0.0, "norm": 3.0}),
        (torch.tensor([NAN, INF, -INF, 2.0, 4.0]), {"nan": 1, "inf": 2, "mean": 3.0, "min": 2.0, "max": 4.0}),
        (torch.tensor([NAN, INF]), {**NOTHING, "zeros": 0, "nan": 1, "inf": 1}),
        (torch.empty(0), {**NOTHING, "zeros": 0, "nan": 0, "inf": 0}),
        (torch.empty(3, 0, 2), {**NOTHING, "zeros": 0, "nan": 0, "inf": 0}),
        (torch.tensor(5.0), {"mean": 5.0, "std": None, "min": 5.0, "max": 5.0, "norm": 5.0}),
        (torch.tensor([NAN, 5.0]), {"mean": 5.0, "std": None, "nan": 1}),
        (torch.tensor([True, False, True]), {"mean": 2 / 3, "zeros": 1, "max": 1.0}),
        (torch.tensor([-128, 127], dtype=torch.int8), {"mean": -0.5, "min": -128.0, "max": 127.0}),
        (torch.tensor([0, 65_535], dtype=torch.uint16), {"mean": 32_767.5, "max": 65_535.0, "zeros": 1}),
        (torch.tensor([2**40, 2**40 + 2]), {"mean": 2.0**40 + 1, "std": math.sqrt(2)}),
        (torch.tensor([1.7e308] * 5, dtype=torch.float64), {"mean": 1.7e308, "std": 0.0, "norm": INF}),
        (torch.tensor([1e-200, 0.0, -0.0], dtype=torch.float64), {"norm": 1e-200, "zeros": 2}),
        (torch.tensor([5e-324] * 4, dtype=torch.float64), {"mean": 5e-324, "std": 0.0, "norm": 1e-323}),
        (torch.tensor([2e-308, 1e308], dtype=torch.float64), {"norm": 1e308, "mean": 5e307}),
        (torch.tensor([1e300, -1e300], dtype=torch.float64), {"mean": 0.0, "norm": math.sqrt(2) * 1e300}),
        (torch.tensor([65_504.0] * 4, dtype=torch.float16), {"norm": 131_008.0, "std": 0.0}),
        (torch.tensor([[1.0, 2.0], [3.0, 4.0]]).t(), {"mean": 2.5, "norm": math.sqrt(30)}),
        (torch.tensor([2.0]).expand(6), {"mean": 2.0, "std": 0.0, "norm": math.sqrt(24)}),
        (torch.arange(10)[::3], {"mean": 4.5, "min": 0.0, "max": 9.0, "zeros": 1}),
    ],
    ids=str,
)
def test_small_tensors_have_these_statistics(tensor: Tensor, expected: dict[str, Any]) -> None:
    """What can be reckoned by hand is what is found."""
    found = statistics(tensor)
    for key, value in expected.items():
        assert (key, found[key]) == (key, value if value is None else pytest.approx(value, rel=1e-12))
    assert set(found) == {*NOTHING, "zeros", "nan", "inf"}


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(dtype, value) for dtype in FLOATS for value in (0.1, -3.0, 6e4)]
    + [(torch.float64, 1e300), (torch.float32, 1e-30), (torch.bfloat16, -1e30)],
)
def test_a_constant_has_no_spread(dtype: torch.dtype, value: float) -> None:
    """The std of a constant is 0, not what rounding leaves, and its histogram one spike."""
    tensor = torch.full((1001,), value, dtype=dtype)
    found = in_small_blocks(tensor, 64)
    assert found["std"] == 0.0
    assert found["mean"] == found["min"] == found["max"] == float(tensor[0])
    assert found["histogram"] == (0, 0, 0, 0, 0, 1001, 0, 0, 0, 0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("offset", [1e6, -1e6])
def test_a_large_mean_keeps_the_std(offset: float, dtype: torch.dtype) -> None:
    """Of a million and a little, the little is right to six digits, where naive sums have none left."""
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + offset
    tensor = values.to(dtype)
    found = in_small_blocks(tensor, 512)
    assert found["std"] == pytest.approx(float(tensor.double().std()), rel=1e-6)
    assert found["mean"] == pytest.approx(float(tensor.double().mean()), rel=1e-12)


def test_minus_zero_is_zero() -> None:
    """The smallest and the largest of zeros are written as 0, whatever their signs."""
    found = statistics(torch.tensor([-0.0, -0.0]))
    assert [math.copysign(1, found[key]) for key in ("min", "max")] == [1, 1]


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
@pytest.mark.parametrize("change", [torch.clone, torch.conj], ids=["as it is", "conjugate"])
def test_complex_tensors_have_a_norm(dtype: torch.dtype, change: Callable[[Tensor], Tensor]) -> None:
    """A complex tensor has a norm and counts of elements; of half an element nothing is taken."""
    odd = [complex(NAN, 1), complex(INF, 0), complex(NAN, INF)]
    tensor = change(torch.tensor([3 + 4j, 0, -12j, *odd], dtype=dtype))
    assert statistics(tensor) == {**NOTHING, "norm": 13.0, "zeros": 1, "nan": 2, "inf": 1}
    assert statistics(tensor[:0])["norm"] is None


@pytest.mark.parametrize("count", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_real_blocks_meet(count: int) -> None:
    """Around the true size of a block no element is lost or counted twice."""
    tensor = torch.arange(count, dtype=torch.float64)
    tensor[-1] = NAN
    check_against_torch(tensor, statistics(tensor))


@pytest.mark.parametrize(("count", "counted"), [(SAMPLE, SAMPLE), (SAMPLE + 1, SAMPLE // 3 + 1)])
def test_the_histogram_of_a_large_tensor_is_a_sample(count: int, counted: int) -> None:
    """Past 2^17 elements every third is counted, and the bins of a ramp are equal still."""
    histogram = statistics(torch.arange(count, dtype=torch.float32))["histogram"]
    assert sum(histogram) == counted
    assert max(histogram) - min(histogram) <= 2


def test_the_sample_meets_every_column() -> None:
    """A step that divided the length of the rows would see a few columns, and never the others."""
    tensor = torch.zeros(4 * SAMPLE // 1024, 1024)
    tensor[:, 1::2] = 1
    histogram = statistics(tensor)["histogram"]
    assert abs(histogram[0] - histogram[-1]) <= 1 and not any(histogram[1:-1])


def test_statistics_change_nothing() -> None:
    """The tensor, its version and gradient, and torch's own state are as they were."""
    tensor = torch.nn.Parameter(torch.tensor([[1.0, NAN], [-0.0, 3.0]]))
    before = tensor.detach().clone()
    version = tensor._version
    around = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
    state = torch.get_rng_state()
    statistics(tensor.t())
    statistics(tensor)
    assert torch.equal(tensor.detach().view(torch.int32), before.view(torch.int32))
    assert tensor._version == version and tensor.grad is None and tensor.requires_grad
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == around
    assert torch.equal(torch.get_rng_state(), state)


def test_defaults_of_torch_do_not_matter() -> None:
    """A default dtype or device that somebody set changes no statistic."""
    tensor = torch.tensor([1.0, 2.0, 4.0])
    expected = statistics(tensor)
    torch.set_default_dtype(torch.float16)
    try:
        with torch.inference_mode(), torch.device("meta"):
            assert statistics(tensor) == expected
    finally:
        torch.set_default_dtype(torch.float32)
