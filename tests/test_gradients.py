"""What a backward pass leaves on each parameter: numbers, verdicts, and the model as it was."""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing._internal.two_tensor import TwoTensor

import paramtool
from paramtool.audience import at_terminal
from paramtool.errors import Bug, ParamtoolError
from paramtool.operations.gradients import splits
from paramtool.operations.gradients.backpropagation import gradients
from paramtool.operations.gradients.losses import loss_of
from paramtool.operations.gradients.magnitude import magnitude
from paramtool.records.gradient import GradientRow, GradientTotals
from paramtool.records.report import Report
from tests.gradient_check import Written, plain, reals

Found = Report[GradientRow, GradientTotals]


def scalar(weight: float = 3.0) -> nn.Linear:
    """Return y = weight · x."""
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def own(report: Found, name: str) -> GradientRow:
    return next(row for row in report.rows if row.kind == "parameter" and row.name == name)


def of_kind(report: Found, kind: str) -> list[GradientRow]:
    return [row for row in report.rows if row.kind == kind]


# the notebook


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_three_and_three_is_six_and_every_pass_adds_six(steps: int) -> None:
    """For y = w·(w·x) with w = 3 and x = 1, each use adds 3, and nothing is zeroed in between."""
    layer = scalar()
    report = paramtool.gradients(nn.Sequential(layer, layer), [torch.ones(1, 1)], steps=steps)
    (row,), uses = of_kind(report, "parameter"), of_kind(report, "use")
    assert (row.name, row.tied, row.uses, row.norm, row.ratio) == (
        "0.weight",
        ("1.weight",),
        2,
        6 * steps,
        2 * steps,
    )
    assert [(use.module, use.call, use.operation, use.norm) for use in uses] == [
        ("0", 1, "linear", 3 * steps),
        ("1", 1, "linear", 3 * steps),
    ]
    assert [(use.share, use.cosine) for use in uses] == [(0.5, 1.0)] * 2
    totals = report.totals
    assert (totals.loss, totals.loss_text) == (9.0, "tensor(9., grad_fn=<SumBackward0>)")
    assert totals.outputs[0].text == "tensor([[9.]], grad_fn=<MmBackward0>)"
    assert (totals.names, totals.tensors, totals.uses, totals.residual) == (2, 1, 2, 0.0)


def test_uses_that_work_against_each_other_have_negative_shares() -> None:
    """The shares add up to 1, and one whose gradient points away from the total is negative."""

    class Against(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

        def forward(self, x: Tensor) -> Tensor:
            return 3 * (self.w * x) - self.w

    uses = of_kind(gradients(Against(), [torch.ones(1)]), "use")
    assert [(use.norm, use.share, use.cosine) for use in uses] == [(3.0, 1.5, 1.0), (1.0, -0.5, -1.0)]


@pytest.mark.parametrize(("by_use", "expected"), [(None, 2), (True, 3), (False, 0)])
def test_uses_are_shown_where_there_are_several_or_all_or_none(by_use: bool | None, expected: int) -> None:
    """By default a parameter with one use has no row for it, which would say the same again."""
    shared = scalar()
    report = gradients(nn.Sequential(scalar(2), shared, shared), [torch.ones(1, 1)], by_use=by_use)
    assert len(of_kind(report, "use")) == expected
    assert own(report, "1.weight").uses == (None if by_use is False else 2)
    assert own(report, "1.weight").norm == 12
    if by_use:
        (only,) = [row for row in of_kind(report, "use") if row.name == "0.weight"]
        assert (only.share, only.cosine, only.norm, only.verdict) == (1.0, 1.0, 9.0, "ok")


# verdicts


class Cases(nn.Module):
    """Has a parameter for each verdict."""

    def __init__(self) -> None:
        super().__init__()
        self.good, self.unused, self.dead, self.nan, self.inf, self.late_nan = (
            nn.Parameter(torch.ones(70_000)) for _ in range(6)
        )
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        one_bad = torch.ones(70_000)
        one_bad[-1] = math.nan
        with_inf = one_bad.nan_to_num(nan=math.inf)
        mixed = one_bad.clone()
        mixed[0] = math.inf
        y = self.good * 2 + torch.relu(-self.dead) + self.nan * one_bad + self.inf * with_inf
        return x * (y + self.late_nan * mixed) * self.frozen[0]


def test_every_verdict_looks_at_every_element() -> None:
    """One NaN in the last of 70,000 elements is nan; behind an infinity too; a dead unit's is zero."""
    report = gradients(Cases(), [torch.ones(1)])
    found = {row.name: row.verdict for row in of_kind(report, "parameter")}
    assert found == {
        "good": "ok", "unused": "none", "dead": "zero", "nan": "nan", "inf": "inf", "late_nan": "nan",
        "frozen": "none",
    }  # fmt: skip
    counts = {"none": 1, "zero": 1, "nan": 2, "inf": 1, "vanishing": 0, "exploding": 0, "ok": 1}
    assert report.totals.verdicts == counts
    assert report.totals.frozen == 1
    assert math.isnan(own(report, "nan").norm or 0)
    assert own(report, "inf").norm == math.inf
    assert own(report, "unused").norm is None
    assert (own(report, "dead").norm, own(report, "dead").uses) == (0.0, 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_norms_do_not_overflow_in_the_dtype(dtype: torch.dtype) -> None:
    """Squares of 300 do not fit in float16, and 40,000 of them in no half precision."""
    gradient = torch.full((200, 200), 300.0, dtype=dtype)
    found = magnitude(gradient)
    exact = float(gradient[0, 0]) * 200
    assert found.norm == pytest.approx(exact, rel=1e-12)
    assert (found.abs_max, found.verdict) == (exact / 200, "ok")


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_norms_do_not_overflow_in_float64_either(size: float) -> None:
    """What is too large or small to be squared is scaled first."""
    found = magnitude(torch.tensor([3.0, 4.0], dtype=torch.float64) * size)
    assert found.norm == pytest.approx(5 * size, rel=1e-12)
    assert found.verdict == "ok"


def test_sparse_complex_and_empty_gradients_have_magnitudes() -> None:
    """Repeated indices are added up first; a complex value has a modulus; of nothing all is zero."""
    sparse = torch.sparse_coo_tensor(
        torch.tensor([[1, 1]]), torch.tensor([3.0, -3.0]), (4,), check_invariants=True
    )
    assert magnitude(sparse).verdict == "zero"
    assert math.copysign(1, magnitude(torch.tensor([-0.0])).abs_max) == 1
    found = magnitude(torch.tensor([3 + 4j, 0], dtype=torch.complex64))
    assert (found.norm, found.abs_max) == (5.0, 5.0)
    assert magnitude(torch.zeros(0)).verdict == "zero"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_uses_add_up_to_rounding_in_every_dtype(dtype: torch.dtype) -> None:
    """Thirty uses of one layer in half precision: the residual is about rounding, and no bug is cried."""
    torch.manual_seed(0)
    layer = nn.Linear(16, 16).to(dtype)
    report = gradients(
        nn.Sequential(*[layer] * 30), [torch.rand(4, 16, dtype=dtype)], loss="projection", steps=3
    )
    assert len(of_kind(report, "use")) == 60
    residual = report.totals.residual
    assert residual is not None
    assert residual < 30 * 3 * torch.finfo(dtype).eps


def test_a_sum_that_is_not_the_gradient_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a use lost, the check of every run would say so, as an error of the tool's own."""
    add = splits.Splits.add

    def lose(self: Any, uses: Any, *others: Any) -> None:
        uses[0].gradient *= 1.001
        add(self, uses, *others)

    monkeypatch.setattr(splits.Splits, "add", lose)
    layer = scalar()
    with pytest.raises(
        Bug, match=r"'0.weight' do not add up to its gradient; the residual is 0.0005"
    ) as caught:
        gradients(nn.Sequential(layer, layer), [torch.ones(1, 1)])
    assert caught.value.status == 3


# losses


def test_each_loss_is_what_it_says() -> None:
    """Sum, mean, square and projection of a known output; the direction has norm 1 and follows the seed."""
    y = torch.tensor([1.0, 2.0, -3.0], requires_grad=True)
    losses = [loss_of(name, [y], 0) for name in ("sum", "mean", "square")]
    assert [each.item() for each in losses] == [0.0, 0.0, 14.0]
    directions = [torch.autograd.grad(loss_of("projection", [y], seed), y)[0] for seed in (0, 0, 1)]
    assert float(directions[0].norm()) == pytest.approx(1)
    assert torch.equal(directions[0], directions[1])
    assert not torch.equal(directions[0], directions[2])
    half = torch.full((3,), 60_000.0, dtype=torch.float16, requires_grad=True)
    assert loss_of("sum", [half], 0).item() == 180_000  # which float16 cannot hold


class Top(NamedTuple):
    """What a model returns by name."""

    value: Tensor
    at: Tensor


def test_every_output_counts_wherever_it_is() -> None:
    """Tuples, dictionaries and named tuples are looked through; integers and constants do not count."""

    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0, 2.0]))

        def forward(self, x: Tensor) -> Any:
            top = Top((self.w * 5).max(), torch.arange(2))
            return {"a": self.w * 2, "b": (x, [self.w.sum() * 3]), "c": torch.arange(3), "d": top}

    report = gradients(Many(), [torch.ones(2)])
    assert own(report, "w").abs_max == 2 + 3 + 5
    assert [each.name for each in report.totals.outputs] == [
        "output['a']", "output['b'][0]", "output['b'][1][0]", "output['c']", "output['d'].value",
        "output['d'].at",
    ]  # fmt: skip


def test_a_loss_may_be_a_function_of_ones_own() -> None:
    """Python callers give a function of what the module returns."""
    report = gradients(scalar(), [torch.ones(2, 1)], loss=lambda y: (y * 7).sum())
    assert own(report, "weight").norm == 14
    with pytest.raises(ParamtoolError, match="must return one number that requires grad"):
        gradients(scalar(), [torch.ones(2, 1)], loss=lambda y: y)


@pytest.mark.parametrize(
    ("last", "loss", "said"),
    [
        (nn.Softmax(-1), "sum", "softmax"),
        (nn.Softmax(-1), "mean", "softmax"),
        (nn.LayerNorm(3), "sum", "layer_norm"),
        (nn.BatchNorm1d(3), "sum", "batch_norm"),
        (nn.Sequential(nn.Softmax(-1), nn.Unflatten(-1, (3, 1))), "sum", "softmax"),
        (nn.Softmax(-1), "projection", None),
        (nn.Softmax(-1), "square", None),
        (nn.LayerNorm(3), "projection", None),
        (nn.LogSoftmax(-1), "sum", None),
        (nn.RMSNorm(3), "sum", None),
        (nn.Sequential(nn.ReLU(), nn.Threshold(9, 0)), "sum", None),
        (nn.Sequential(nn.Softmax(-1), nn.Linear(3, 1)), "sum", None),
    ],
)
def test_a_degenerate_loss_is_pointed_out(last: nn.Module, loss: str, said: str | None) -> None:
    """Where a normalization makes the loss a constant, the note says so; elsewhere there is none."""
    torch.manual_seed(0)
    notes = gradients(nn.Sequential(nn.Linear(3, 3), last), [torch.rand(4, 3)], loss=loss).totals.notes
    assert [f"the {loss} of the output of {said} hardly" in note for note in notes] == (
        [True] if said else []
    )


# the model afterwards


def test_the_model_is_left_as_it_was() -> None:
    """Gradients, statistics, modes, rescaled embeddings and torch's generator are as before."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Embedding(5, 4, max_norm=0.1),
        nn.Flatten(0, 1),
        nn.Linear(4, 4),
        nn.BatchNorm1d(4),
        nn.Dropout(0.5),
    )
    model[3].eval()
    nn.utils.parametrizations.spectral_norm(model[2])
    held = torch.ones(4)
    model[3].weight.grad = held
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [each.training for each in model.modules()]
    generator = torch.get_rng_state()
    hooks = (*nn.modules.module._global_forward_hooks, *nn.modules.module._global_forward_pre_hooks)
    gradients(model, [torch.arange(10).reshape(2, 5) % 5], steps=3, training=True, layers=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [each.training for each in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), generator)
    assert model[3].weight.grad is held
    assert model[0].weight.grad is None
    assert (*nn.modules.module._global_forward_hooks, *nn.modules.module._global_forward_pre_hooks) == hooks


def test_it_is_left_so_when_the_forward_fails() -> None:
    """An error on the way puts everything back as well."""
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(4, 4))
    model.train()
    with pytest.raises(ParamtoolError):
        gradients(model, [torch.rand(5, 3)], training=False)
    assert model[0].num_batches_tracked == 0
    assert model.training
    assert not nn.modules.module._global_forward_hooks
    assert not torch.overrides._get_current_function_mode_stack()  # type: ignore[no-untyped-call]


def test_dropout_follows_the_seed_and_no_other_random_number() -> None:
    """The same seed drops the same; what the caller drew before does not matter."""
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5))
    norms = []
    for seed in (0, 0, 1):
        torch.rand(seed + 3)
        norms.append(own(gradients(model, [torch.ones(1, 8)], seed=seed), "0.bias").norm)
    assert norms[0] == norms[1] != norms[2]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(0, 3), st.sampled_from(["sum", "square", "projection"]))
def test_n_passes_give_n_times_the_first(steps: int, depth: int, loss: str) -> None:
    """Without dropout every pass adds the same, to the gradient and to each use."""
    torch.manual_seed(depth)
    shared = nn.Linear(3, 3).double()
    model = nn.Sequential(nn.Linear(3, 3).double(), nn.Tanh(), *[shared] * depth)
    inputs = [torch.linspace(-1, 1, 6, dtype=torch.float64).reshape(2, 3)]
    once = gradients(model, inputs, loss=loss, by_use=True)
    many = gradients(model, inputs, loss=loss, by_use=True, steps=steps)
    for one, all_ in zip(once.rows, many.rows, strict=True):
        assert (one.kind, one.name, one.module, one.call) == (all_.kind, all_.name, all_.module, all_.call)
        assert all_.norm == pytest.approx(steps * (one.norm or 0), rel=1e-12)
        assert all_.cosine == pytest.approx(one.cosine)


def test_layers_tell_the_spread_forward_and_backward() -> None:
    """The std of each output, in the order in which they returned, and of the loss's gradient there."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Tanh()), nn.Linear(4, 2))
    x = torch.rand(8, 4)
    report = gradients(model, [x], loss="square", layers=True)
    first = model[0](x)
    hidden = model[1](first)
    y = model[2](hidden)
    slopes = torch.autograd.grad(y.square().sum(), [first, hidden, y])
    rows = of_kind(report, "module")
    assert [(row.module, row.type, row.shape) for row in rows] == [
        ("0", "Linear", (8, 4)),
        ("1.0", "Tanh", (8, 4)),
        ("2", "Linear", (8, 2)),
    ]
    for row, output, slope in zip(rows, (first, hidden, y), slopes, strict=True):
        assert row.output_std == pytest.approx(float(output.detach().double().std()))
        assert row.gradient_std == pytest.approx(float(slope.double().std()))


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: torch.func.vmap(m.a)(x),
        lambda m, x: torch.nested.to_padded_tensor(
            m.a(torch.nested.nested_tensor([x[:2], x], layout=torch.jagged)), 0.0
        ),
    ],
)
def test_what_has_no_spread_is_left_out_of_the_layers(forward: Any) -> None:
    """Below vmap nothing has values to look at, and a nested tensor has no shape."""
    module = Written(forward, a=nn.Linear(3, 3))
    rows = of_kind(gradients(module, [reals(4, 3)], layers=True), "module")
    assert [row.name for row in rows] == [""]


@pytest.mark.parametrize("by_use", [True, False])
def test_a_parameter_made_under_inference_mode_has_the_gradient_that_torch_gives(by_use: bool) -> None:
    """The bias has one, and the weight, to torch's mind, none; with a look at uses as without."""
    with torch.inference_mode():
        layer = nn.Linear(3, 3)
    rows = gradients(layer, [torch.ones(2, 3)], by_use=by_use).rows
    norms = {row.name: row.norm for row in rows if row.kind == "parameter"}
    assert norms == {"weight": None, "bias": pytest.approx(math.sqrt(12))}


def test_a_parameter_that_is_made_of_other_tensors_is_refused() -> None:
    """There is no memory of its own to read a gradient from; one that is frozen does no harm."""
    module = Written(lambda m, x: x @ m.w, a=nn.Linear(3, 3))
    parts = TwoTensor(reals(3, 3), reals(3, 3))  # type: ignore[no-untyped-call]
    module.w = nn.Parameter(parts)
    with pytest.raises(ParamtoolError, match="'w' is a TwoTensor, which keeps its values in other tensors"):
        gradients(module, [reals(2, 3)])
    module.w.requires_grad_(False)
    module.written = lambda m, x: m.a(x)
    assert own(gradients(module, [reals(2, 3)]), "a.weight").verdict == "ok"


def test_a_gradient_is_that_of_plain_torch_to_the_last_bit() -> None:
    """A parameter with one use has exactly the gradient that a hand-written backward gives."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 2))
    inputs = [torch.rand(3, 1, 5, 5)]
    expected = plain(model, inputs)
    report = gradients(model, inputs, loss="square", values=True)
    for row in of_kind(report, "parameter"):
        other = expected[row.name]
        assert other is not None
        assert row.gradient is not None
        assert torch.equal(torch.tensor(row.gradient.values), other)


def test_it_runs_where_gradients_are_switched_off() -> None:
    """A caller's no_grad and inference_mode do not reach the passes."""
    layer, x = scalar(), torch.ones(1, 1)
    with torch.no_grad():
        assert own(gradients(layer, [x]), "weight").norm == 1
    with torch.inference_mode():
        assert own(gradients(layer, [x]), "weight").norm == 1


def test_a_module_that_catches_an_error_is_not_blamed_for_the_next() -> None:
    """The path in a message is that of the call which failed, not of one that was caught before."""

    class Catching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Any:
            with contextlib.suppress(RuntimeError):
                self.first(x)
            return self.second(x[..., : self.keep])

        keep = 4

    module = Catching()
    report = gradients(module, [torch.rand(2, 4)], by_use=True)
    assert {row.module for row in of_kind(report, "use")} == {"second"}
    module.keep = 2
    with pytest.raises(ParamtoolError, match=r"'second' .* fails on"):
        gradients(module, [torch.rand(2, 4)])


# refusals


class Lonely(nn.Module):
    """Returns what no parameter made."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w.detach()


class Overwriting(nn.Module):
    """Overwrites in place what the backward pass needs."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.exp(x * self.w)
        y.mul_(2)
        return y


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # nested tensors are a prototype, says torch
    NESTED = torch.nested.nested_tensor([torch.rand(2, 2), torch.rand(3, 2)])


@pytest.mark.parametrize(
    ("module", "inputs", "message", "hint"),
    [
        (nn.Sequential(nn.Linear(3, 4)), [torch.rand(1, 5)],
         r"^'0' \(Linear\) with weight \[4, 3\], bias \[4\] fails on \[1, 5\] float32: mat1", None),
        (nn.Sequential(nn.Sequential(nn.BatchNorm1d(3))), [torch.rand(1, 3)],
         r"^'0.0' \(BatchNorm1d\) .* Expected more than 1 value", "use a batch of 2 or more, or --eval"),
        (nn.Embedding(3, 2), [torch.rand(2)], "scalar types: Long, Int", "randint"),
        (nn.Embedding(3, 2), [torch.tensor([3])], "index out of range", "it has 3 rows"),
        (nn.Linear(3, 4), [], "missing 1 required positional argument: 'input'", "--input"),
        (nn.Linear(3, 4), [torch.rand(3)] * 2, "takes 2 positional arguments but 3", "leave out an input"),
        (nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 1)), [torch.rand(2, 3)],
         r"fails on \(\[2, 4\] float32, \(\[1, 4\] float32", "LSTM"),
        (nn.ModuleList([nn.Linear(1, 1)]), [torch.rand(1)], r"ModuleList\) has no forward", "Sequential"),
        (nn.Sequential(nn.Module(), nn.Linear(1, 1)), [torch.rand(1)], "'0' .* has no forward", "Sequential"),
        (nn.Linear(3, 4), [torch.rand(1, 3).double()], "same dtype", "dtype"),
        (nn.ReLU(), [torch.rand(1)], "there is no parameter that requires grad", None),
        (nn.Linear(1, 1).requires_grad_(False), [torch.rand(1)], "there is no parameter", "freeze"),
        (Lonely(), [torch.rand(1)], "does not depend on a parameter", "grad_fn"),
        (Overwriting(), [torch.rand(1)], "^the backward pass fails: one of the variables needed", None),
        (nn.Linear(2, 2), [NESTED], "^the loss sum of the output fails: Could not run", None),
        (nn.LazyLinear(3), [torch.rand(1, 3)], "is lazy and has no shape", "input"),
        (nn.Linear(3, 3, device="meta"), [torch.rand(1, 3)], "on the meta device and has no values", None),
    ],
)  # fmt: skip
def test_what_cannot_run_is_told_with_its_place(
    module: nn.Module, inputs: list[Tensor], message: str, hint: str | None
) -> None:
    """The module's path, what it got, torch's message on one line, and what to do."""
    with at_terminal(), pytest.raises(ParamtoolError) as caught:
        gradients(module, inputs, training=True)
    assert re.search(message, caught.value.message)
    assert caught.value.status == 2
    assert "\n" not in str(caught.value)
    assert (caught.value.hint is None) if hint is None else (hint in (caught.value.hint or ""))
