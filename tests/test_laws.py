"""Initializers draw from the distribution that they name, in every floating-point dtype."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from paramtool.language.catalog import shipped
from paramtool.language.rules import read_recipe
from paramtool.operations.initialization.rule_application import initialize
from paramtool.place import Text
from paramtool.records.initialization import InitializationRow
from paramtool.records.rule import Rule
from paramtool.tensors import streams

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPE = (200, 100)
N = 200 * 100
ONE_IN = 1e5
"""How often a correct law may fail a test, were the seeds not fixed."""

CRITICAL = math.sqrt(math.log(2 * ONE_IN) / (2 * N))
"""Of the Kolmogorov-Smirnov distance: P(D > c) <= 2·exp(-2·n·c²) (Massart 1990)."""

Distribution = Callable[[Tensor], Tensor]

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=[str(each)[6:] for each in DTYPES])


def filled(
    rule: str, shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float32, seed: int = 0
) -> tuple[Tensor, InitializationRow]:
    """Return what a rule, written as in a spec, makes of NaN, and its row."""
    module = nn.ParameterDict({"w": nn.Parameter(torch.full(shape, torch.nan, dtype=dtype))})
    report = initialize(module, read_recipe(Text("r.yaml", f"[{{{rule}}}]"), shipped()), seed=seed)
    assert module["w"].dtype == dtype
    return module["w"].detach(), report.rows[0]


def changed(rule: str, tensor: Tensor) -> Tensor:
    """Return what a rule makes of the values of `tensor`."""
    module = nn.ParameterDict({"w": nn.Parameter(tensor.clone())})
    initialize(module, read_recipe(Text("r.yaml", f"[{{{rule}}}]"), shipped()))
    values: Tensor = module["w"].detach()
    return values


def normal(mean: float, std: float) -> Distribution:
    return lambda x: ((mean - x) / (std * math.sqrt(2))).erfc() / 2


def uniform(low: float, high: float) -> Distribution:
    return lambda x: ((x - low) / (high - low)).clamp(0, 1)


def truncated(mean: float, std: float, low: float, high: float) -> Distribution:
    below, above = normal(mean, std)(torch.tensor([low, high], dtype=torch.float64)).tolist()
    return lambda x: (normal(mean, std)(x.clamp(low, high)) - below) / (above - below)


def distance(sample: Tensor, distribution: Distribution) -> float:
    """Return the Kolmogorov-Smirnov distance of a sample from a distribution function."""
    expected = distribution(sample.double().flatten().sort().values)
    steps = torch.arange(len(expected) + 1, dtype=torch.float64) / len(expected)
    return float(torch.maximum(steps[1:] - expected, expected - steps[:-1]).max())


def rounding(sample: Tensor, distribution: Distribution) -> float:
    """Return what the rounding to the sample's dtype may add to the distance.

    A number that is stored as v was between v - h and v + h, where h is half of the gap between
    neighbours: eps·|v|/2 at most, or half of the smallest number.
    """
    info = torch.finfo(sample.dtype)
    v = sample.double().flatten()
    h = (v.abs() * info.eps).clamp(min=info.smallest_normal * info.eps) / 2
    return float((distribution(v + h) - distribution(v - h)).max())


LAWS: dict[str, Distribution] = {
    "normal: ": normal(0, 1),
    "normal: {mean: -0.3, std: 2}": normal(-0.3, 2),
    "uniform: ": uniform(0, 1),
    "uniform: {a: -1, b: 3}": uniform(-1, 3),
    "trunc_normal: ": truncated(0, 1, -2, 2),
    "trunc_normal: {mean: 0.5, std: 0.2, a: 0.4, b: 1}": truncated(0.5, 0.2, 0.4, 1),
    "trunc_normal: {std: 0.02, a: -0.01, b: 2}": truncated(0, 0.02, -0.01, 2),
    "xavier_uniform: ": uniform(-math.sqrt(6 / 300), math.sqrt(6 / 300)),
    "xavier_uniform: {gain: 2}": uniform(-2 * math.sqrt(6 / 300), 2 * math.sqrt(6 / 300)),
    "xavier_normal: ": normal(0, math.sqrt(2 / 300)),
    "kaiming_uniform: ": uniform(-math.sqrt(6 / 100), math.sqrt(6 / 100)),
    "kaiming_normal: {mode: fan_out, nonlinearity: relu}": normal(0, math.sqrt(2 / 200)),
    "kaiming_normal: {a: 0.2}": normal(0, math.sqrt(2 / 1.04 / 100)),
}


@each_dtype
@pytest.mark.parametrize("rule", LAWS)
def test_every_random_law_has_its_distribution(rule: str, dtype: torch.dtype) -> None:
    """The Kolmogorov-Smirnov distance from the exact distribution is below the value for one in 1e5."""
    for seed in (0, 1):
        sample, _ = filled(rule, dtype=dtype, seed=seed)
        bound = CRITICAL + rounding(sample, LAWS[rule])
        assert distance(sample, LAWS[rule]) < bound < 0.04


def test_the_distance_tells_neighbouring_laws_apart() -> None:
    """The test above fails for a law that is 3 % wider, or moved by 3 % of its std."""
    sample, _ = filled("normal: ", (1000, 1000))
    for wrong in (normal(0, 1.03), normal(0.03, 1), uniform(-1.7, 1.7)):
        assert distance(sample, wrong) > math.sqrt(math.log(2 * ONE_IN) / 2e6)


@each_dtype
@pytest.mark.parametrize("rule", LAWS)
def test_the_expected_moments_are_those_of_the_sample(rule: str, dtype: torch.dtype) -> None:
    """Mean and std are within 5 sigma of what the plan expects; none of the laws has a kurtosis above 3."""
    _, row = filled(rule, dtype=dtype)
    assert row.expected_mean is not None
    assert row.expected_std is not None
    assert row.mean == pytest.approx(row.expected_mean, abs=5 * row.expected_std / math.sqrt(N))
    assert row.std == pytest.approx(row.expected_std, rel=5 / math.sqrt(2 * N))


@each_dtype
@pytest.mark.parametrize(("low", "high"), [(-2, 2), (-0.3, 0.1), (0.7, 3)])
def test_trunc_normal_stays_within_its_bounds(low: float, high: float, dtype: torch.dtype) -> None:
    """No element is outside of the bounds, as the dtype has them."""
    sample, _ = filled(f"trunc_normal: {{std: 1, a: {low}, b: {high}}}", dtype=dtype)
    bounds = torch.tensor([low, high], dtype=dtype)
    assert bounds[0] <= sample.min() < sample.max() <= bounds[1]


FANS = {
    (3, 4): (4, 3),
    (8, 4, 3, 3): (36, 72),
    (6, 2, 5): (10, 30),
    (1, 7): (7, 1),
}


@pytest.mark.parametrize("shape", FANS, ids=str)
def test_xavier_and_kaiming_have_the_std_of_their_papers(shape: tuple[int, ...]) -> None:
    """The expected std is gain·√(2/(fan_in + fan_out)) or gain/√fan, and the note says the fan."""
    fan_in, fan_out = FANS[shape]
    for law in ("xavier_uniform", "xavier_normal"):
        _, row = filled(f"{law}: {{gain: 1.5}}", shape)
        assert row.expected_std == pytest.approx(1.5 * math.sqrt(2 / (fan_in + fan_out)))
        assert row.note == f"fan_in {fan_in}, fan_out {fan_out}"
    gains = {
        "relu": math.sqrt(2),
        "tanh": 5 / 3,
        "linear": 1,
        "selu": 3 / 4,
        "leaky_relu": math.sqrt(2 / 1.25),
    }
    for law in ("kaiming_uniform", "kaiming_normal"):
        for mode, fan in (("fan_in", fan_in), ("fan_out", fan_out)):
            for nonlinearity, gain in gains.items():
                _, row = filled(f"{law}: {{a: 0.5, mode: {mode}, nonlinearity: {nonlinearity}}}", shape)
                assert row.expected_std == pytest.approx(gain / math.sqrt(fan))
                assert row.note == f"{mode} {fan}"


@each_dtype
@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6), (4, 2, 3, 3)], ids=str)
def test_orthogonal_matrices_are_orthogonal(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """W·Wᵀ, or Wᵀ·W where there are more rows, is gain² times the identity, up to the dtype's rounding."""
    sample, _ = filled("orthogonal: {gain: 3}", shape, dtype)
    matrix = sample.double().flatten(1)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    eps = max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps)  # it is drawn in float32
    expected = 9 * torch.eye(len(matrix), dtype=torch.float64)
    # a row of length 3, each element off by eps/2 of itself; the factorization adds a few more
    assert (matrix @ matrix.T - expected).abs().max() < 9 * 8 * eps


@each_dtype
@pytest.mark.parametrize("sparsity", [0, 0.1, 0.333, 0.9, 1])
def test_sparse_has_an_exact_number_of_zeros_in_a_column(sparsity: float, dtype: torch.dtype) -> None:
    """Each column has the fraction of zeros, rounded up, and the rest is N(0, std²)."""
    sample, _ = filled(f"sparse: {{sparsity: {sparsity}, std: 2}}", dtype=dtype)
    zeros = math.ceil(sparsity * SHAPE[0])
    assert (sample == 0).sum(dim=0).tolist() == [zeros] * SHAPE[1]
    rest = sample[sample != 0]
    if len(rest):
        critical = math.sqrt(math.log(2 * ONE_IN) / (2 * len(rest)))
        assert distance(rest, normal(0, 2)) < critical + rounding(rest, normal(0, 2))
    places = {tuple(column.nonzero().flatten().tolist()) for column in sample.T}
    assert len(places) > 1 or sparsity in (0, 1)


@each_dtype
def test_eye_and_dirac_are_torchs(dtype: torch.dtype) -> None:
    """The initializers without chance give the elements that torch.nn.init gives."""
    for shape in ((3, 3), (2, 5), (5, 2)):
        assert torch.equal(filled("eye: ", shape, dtype)[0], nn.init.eye_(torch.empty(shape, dtype=dtype)))
    for conv in ((4, 2, 3), (4, 2, 3, 3), (2, 6, 3, 1, 3)):
        for groups in (1, 2):
            expected = nn.init.dirac_(torch.empty(conv, dtype=dtype), groups)
            assert torch.equal(filled(f"dirac: {{groups: {groups}}}", conv, dtype)[0], expected)


@each_dtype
@pytest.mark.parametrize("value", [0.1, -3, 1e-3, 1 / 3])
def test_constants_are_exact(value: float, dtype: torch.dtype) -> None:
    """A constant is the number itself in float64, and its rounding in other dtypes."""
    sample, row = filled(f"constant: {value!r}", (3, 4), dtype)
    assert torch.equal(sample, torch.full((3, 4), value, dtype=dtype))
    assert (row.expected_mean, row.expected_std) == (value, 0)
    assert dtype != torch.float64 or sample.tolist() == [[value] * 4] * 3
    assert torch.equal(filled("zeros: ", (2,), dtype)[0], torch.zeros(2, dtype=dtype))
    assert torch.equal(filled("ones: ", (2,), dtype)[0], torch.ones(2, dtype=dtype))


@each_dtype
def test_arithmetic_is_exact(dtype: torch.dtype) -> None:
    """add, mul and clamp give what torch's own operators give in the dtype."""
    start = (torch.arange(-50, 50) / 7).to(dtype)
    assert torch.equal(changed("add: 0.1", start), start + 0.1)
    assert torch.equal(changed("mul: -0.3", start), start * -0.3)
    assert torch.equal(changed("clamp: {min: -1.5}", start), start.clamp(min=-1.5))
    assert torch.equal(changed("clamp: {max: 0.3}", start), start.clamp(max=0.3))
    assert torch.equal(changed("clamp: [-1, 0.3]", start), start.clamp(-1, 0.3))


def test_a_dtype_changes_only_the_rounding() -> None:
    """One seed gives one float32 draw, rounded to the parameter's dtype."""
    for rule in (*LAWS, "orthogonal: ", "sparse: {sparsity: 0.5}"):
        single, _ = filled(rule)
        for dtype in (*DTYPES, torch.float8_e4m3fn, torch.float8_e5m2):
            cast = single.to(dtype).view(torch.uint8)
            assert torch.equal(filled(rule, dtype=dtype)[0].view(torch.uint8), cast), rule


COMPLEX = {
    "normal: {std: 2}": 2,
    "xavier_normal: ": math.sqrt(2 / 300),
    "kaiming_normal: ": math.sqrt(2 / 100),
}


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128], ids=str)
@pytest.mark.parametrize("rule", COMPLEX)
def test_complex_normals_have_independent_parts(rule: str, dtype: torch.dtype) -> None:
    """Real and imaginary part are N(0, std²/2) each and uncorrelated; the std is that of the modulus."""
    sample, row = filled(rule, dtype=dtype)
    std = COMPLEX[rule]
    assert row.expected_std == pytest.approx(std)
    parts = normal(0, std / math.sqrt(2))
    for part in (sample.real, sample.imag):
        assert distance(part, parts) < CRITICAL + rounding(part, parts)
    correlation = float((sample.real * sample.imag).double().mean()) / (std * std / 2)
    assert abs(correlation) < 5 / math.sqrt(N)
    # |z|² is exponential, with a std as large as its mean
    square = float(sample.abs().double().square().mean())
    assert square == pytest.approx(std * std, rel=5 / math.sqrt(N))
    single, _ = filled(rule, dtype=torch.complex64)
    assert torch.equal(sample, single.to(dtype))


def test_complex_numbers_are_torchs_with_its_generator() -> None:
    """--rng torch gives what torch.nn.init.normal_ gives a complex tensor."""
    module = nn.ParameterDict({"w": nn.Parameter(torch.empty(5, 7, dtype=torch.complex64))})
    initialize(module, [Rule("normal", {"std": 0.5})], rng="torch", seed=4)
    torch.manual_seed(4)
    assert torch.equal(module["w"].detach(), nn.init.normal_(torch.empty_like(module["w"]), std=0.5))


def test_blocks_of_a_large_tensor_are_drawn_apart() -> None:
    """Past a block another stream begins, and the law is the same on both sides."""
    rule, law = "normal: ", normal(0, 1)
    sample, _ = filled(rule, (streams.BLOCK + N,))
    first, second = sample[:N], sample[-N:]
    assert not torch.equal(first, second)
    assert distance(second, law) < CRITICAL + rounding(second, law)
    correlation = float((first * second).mean())
    assert abs(correlation) < 5 / math.sqrt(N)
    assert torch.equal(filled(rule, (streams.BLOCK,))[0], sample[: streams.BLOCK])


def test_a_tensor_without_elements_is_filled() -> None:
    """Zero elements are no error, where the law asks for no fan."""
    for rule in ("normal: ", "zeros: ", "eye: ", "add: 1", "trunc_normal: "):
        sample, _ = filled(rule, (0, 3))
        assert sample.shape == (0, 3)
