"""Uses of large parameters are measured and let go during the pass: every number stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paramtool.errors import Bug
from paramtool.operations.gradients import uses
from paramtool.operations.gradients.backpropagation import gradients
from paramtool.operations.gradients.fold import Fold
from paramtool.operations.gradients.scratch_file import ScratchFile
from paramtool.records.gradient import GradientRow, Gradients
from tests.gradient_check import Written, reals, split

NUMBERS = ("share", "cosine", "norm", "abs_max", "ratio")


def both(
    module: nn.Module, inputs: Sequence[Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Gradients, Gradients]:
    """Return the report with all gradients in memory, and with all of several uses folded."""
    found = []
    for large in (1 << 40, 1):
        monkeypatch.setattr(uses, "LARGE", large)
        found.append(gradients(module, inputs, by_use=True))
    return found[0], found[1]


def facts(row: GradientRow) -> tuple[object, ...]:
    return row.kind, row.name, row.uses, row.module, row.call, row.operation, row.verdict


def assert_equal(module: nn.Module, inputs: Sequence[Any], monkeypatch: pytest.MonkeyPatch) -> Gradients:
    """Assert that folding changes no number by more than the rounding of float64."""
    kept, folded = both(module, inputs, monkeypatch)
    assert list(map(facts, kept)) == list(map(facts, folded))
    for before, after in zip(kept, folded, strict=True):
        for name in NUMBERS:
            expected = getattr(before, name)
            found = getattr(after, name)
            close = found is expected or found == pytest.approx(expected, rel=1e-13, abs=1e-15)
            assert close, (before.name, name)
    assert folded.totals.residual == pytest.approx(kept.totals.residual, rel=1e-13, abs=1e-30)
    return folded


USED = [
    lambda m, x: x @ m.w + x @ m.w.T,
    lambda m, x: (x @ m.w).tanh() @ m.w,
    lambda m, x: ((x @ m.w).tanh() @ m.w).sin() @ m.w + m.w[0],
    lambda m, x: x @ m.w + m.w.sum(),
    lambda m, x: x @ m.w - x @ m.w,
    lambda m, x: (m.w + x) + m.w,  # both get the very same gradient
    lambda m, x: (x @ m.w, (x @ m.w).detach())[0],
    lambda m, x: torch.complex(x @ m.w, x @ m.w.T).abs(),
]


@pytest.mark.parametrize("forward", USED)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_folding_changes_no_number(
    forward: Callable[[Any, Tensor], Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two uses are referred to, more are on disk; each dtype has the same rows either way."""
    if dtype is torch.bfloat16 and forward is USED[-1]:
        return  # complex numbers have no bfloat16
    rows = 3 if forward is USED[5] else 2
    assert_equal(Written(forward).to(dtype), [reals(rows, 3).to(dtype)], monkeypatch)


def test_shares_are_the_plain_definition_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """⟨use, total⟩ / ⟨total, total⟩ and the cosine, from the uses as they came."""
    module = Written(USED[2]).to(torch.bfloat16)
    inputs = [reals(2, 3).bfloat16()]
    total, plain = split(module, inputs, loss="sum")["w"]
    report = assert_equal(module, inputs, monkeypatch)
    assert total is not None
    whole = total.double().reshape(-1)
    for row, use in zip(report.rows[1:], plain, strict=True):
        assert use.gradient is not None
        one = use.gradient.double().reshape(-1)
        assert row.share == pytest.approx(float(one @ whole / (whole @ whole)), rel=1e-12)
        assert row.cosine == pytest.approx(float(one @ whole / one.norm() / whole.norm()), rel=1e-12)
        assert row.norm == pytest.approx(float(one.norm()), rel=1e-12)


def test_no_gradient_of_a_folded_use_is_retained(monkeypatch: pytest.MonkeyPatch) -> None:
    """What autograd would copy and keep is what folding is to spare."""
    retained = []
    monkeypatch.setattr(uses, "LARGE", 1)
    monkeypatch.setattr(Tensor, "retain_grad", lambda self: retained.append(self.shape))
    module = Written(USED[2])
    module.v = nn.Parameter(reals(3, 3))
    gradients(module, [reals(2, 3)])
    assert not retained
    monkeypatch.setattr(uses, "LARGE", 1 << 40)
    gradients(Written(USED[1]), [reals(2, 3)], by_use=False)
    assert not retained


class Spoiled(Fold):
    """Loses the first use."""

    def close(self, *_: Any) -> None:
        self._kept[0], self._sizes[0] = None, None
        super().close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("forward", USED[:3])
def test_a_use_that_is_lost_is_found(
    forward: Callable[[Any, Tensor], Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum of the uses is compared with the gradient in this way too, in bfloat16 as well."""
    monkeypatch.setattr(uses, "LARGE", 1)
    monkeypatch.setattr(uses, "Fold", Spoiled)
    with pytest.raises(Bug, match="the uses of 'w' do not add up to its gradient"):
        gradients(Written(forward).to(dtype), [reals(2, 3).to(dtype)], by_use=True)


def test_a_gradient_that_changes_afterwards_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What own code does to the gradient after it was complete is a rest, whose size nobody knows."""
    module = Written(lambda m, x: (x * m.v) @ m.w + (x * m.v) @ m.w.T)
    module.v = nn.Parameter(torch.ones(3, dtype=torch.float64))
    changed = []

    def meddle(gradient: Tensor) -> Tensor:
        assert module.w.grad is not None
        changed.append(module.w.grad.mul_(2))
        return gradient

    module.v.register_hook(meddle)  # type: ignore[no-untyped-call]
    monkeypatch.setattr(uses, "LARGE", 1)
    report = gradients(module, [reals(2, 3)], by_use=True)
    assert len(changed) == 1
    rows = [row for row in report.rows if row.name == "w"]
    assert [(row.operation, row.verdict) for row in rows[1:]] == [
        ("matmul", "ok"), ("T", "ok"), ("rest", "none"),
    ]  # fmt: skip
    assert rows[0].norm == pytest.approx(float(changed[0].norm()))
    assert "the row 'rest' is its effect on 'w'" in report.totals.notes[0]


def test_a_full_disk_keeps_them_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without room on disk the uses stay in memory, and the numbers are the same."""

    def full(*_: Any) -> Any:
        raise OSError("no space left")

    monkeypatch.setattr(ScratchFile, "put", lambda *_: None)
    assert_equal(Written(USED[2]), [reals(2, 3)], monkeypatch)
    monkeypatch.undo()
    monkeypatch.setattr("paramtool.operations.gradients.scratch_file._write", full)
    assert ScratchFile().put(torch.ones(3)) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_tensor_on_disk_comes_back_in_pieces(dtype: torch.dtype) -> None:
    """What was written is read, at any place, also what is a transposed view."""
    file = ScratchFile()
    first, second = torch.randn(5, 7).to(dtype), torch.randn(11).to(dtype)
    kept = file.put(first.T.reshape(-1)), file.put(second)
    for each, expected in zip(kept, (first.T.reshape(-1), second), strict=True):
        assert each is not None
        assert each.numel() == expected.numel()
        assert torch.equal(each[3:9], expected[3:9])
        assert torch.equal(each[0:100], expected)
        assert each[5:5].numel() == 0
