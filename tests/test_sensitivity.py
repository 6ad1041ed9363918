"""Gradients that vanish and explode are found; ordinary networks raise no alarm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paramtool import gradients
from paramtool.records.gradient import Gradients
from tests.gradient_check import Written

LOSSES = ("sum", "mean", "square", "projection", "cross_entropy", "mse")


def stack(depth: int, activation: Callable[[], nn.Module], std: float | None = None) -> nn.Module:
    """Return layers of 64, with their weights as they come or drawn with `std`."""
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (nn.Linear(64, 64), activation())]
    module = nn.Sequential(*layers, nn.Linear(64, 10))
    for parameter in module.parameters() if std else ():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=std or 0)
    return module


def verdicts(report: Gradients) -> dict[str, str | None]:
    return {row.name: row.verdict for row in report.rows if row.kind == "parameter"}


def test_the_sensitivity_is_the_norm_by_the_gradients_of_the_outputs() -> None:
    """y = w x with x = (3, 4) in two samples: the gradient of Σ y is (6, 8), and Σ |∂loss/∂y| is 2."""
    layer = nn.Linear(2, 1, bias=False)
    x = torch.tensor([[3.0, 4.0], [3.0, 4.0]])
    (row,) = gradients(layer, [x], loss="sum").rows
    assert (row.norm, row.sensitivity) == (10.0, 5.0)
    (row,) = gradients(layer, [x], loss="mean", steps=3).rows
    assert row.sensitivity == pytest.approx(5)
    (row,) = gradients(layer, [x], loss=lambda y: 1e-20 * y.sum()).rows
    assert row.sensitivity == pytest.approx(5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_first_layers_of_a_deep_sigmoid_network_vanish(loss: str) -> None:
    """Whatever the loss, the last layers are well, and the first are lost."""
    found = verdicts(gradients(stack(20, nn.Sigmoid), [torch.rand(8, 64)], loss=loss))
    assert {found[f"{index}.{name}"] for index in range(0, 16, 2) for name in ("weight", "bias")} == {
        "vanishing"
    }
    assert {found["40.weight"], found["40.bias"], found["38.weight"]} == {"ok"}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.Identity])
def test_a_badly_scaled_stack_explodes(activation: Callable[[], nn.Module], loss: str) -> None:
    """With a std of 1 each layer multiplies by about eight."""
    found = verdicts(gradients(stack(12, activation, 1.0), [torch.randn(8, 64)], loss=loss))
    assert {each for name, each in found.items() if name.endswith("weight")} == {"exploding"}


class Tokens(nn.Module):
    """A small language model with tied embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(32, 100, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Any:
        """Return logits."""
        return self.head(self.blocks(self.embed(x)))


def convolutions() -> nn.Module:
    """Return a deep network whose convolutions have biases that its batch norms cancel."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for index in range(12):
        layers += [nn.Conv2d(8 if index else 3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


ORDINARY: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "relu": lambda: (stack(4, nn.ReLU), torch.rand(8, 64)),
    "he": lambda: (stack(20, nn.ReLU, math.sqrt(2 / 64)), torch.randn(8, 64)),
    "tanh": lambda: (stack(6, nn.Tanh), torch.rand(8, 64)),
    "lstm": lambda: (nn.LSTM(16, 32, 2), torch.randn(50, 4, 16)),
    "rnn": lambda: (nn.RNN(16, 32, 2), torch.randn(50, 4, 16)),
    "tokens": lambda: (Tokens(), torch.arange(40).reshape(2, 20)),
    "convolutions": lambda: (convolutions(), torch.randn(4, 3, 16, 16)),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_network_raises_no_alarm(name: str, loss: str) -> None:
    """At initialization, with torch's own values or He's."""
    torch.manual_seed(0)
    module, x = ORDINARY[name]()
    assert set(verdicts(gradients(module, [x], loss=loss)).values()) <= {"ok", "zero"}


def test_a_loss_that_cancels_is_not_the_network_s_fault() -> None:
    """The sum of a softmax has no gradient but rounding; a note says so, and nothing vanishes."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 5), nn.Softmax(-1))
    report = gradients(module, [torch.rand(4, 8)], loss="sum")
    assert report.totals.notes
    assert set(verdicts(report).values()) == {"ok"}


def test_without_gradients_of_the_output_nothing_is_judged() -> None:
    """A loss of the parameters alone, and an output that is a parameter."""
    module = stack(1, nn.ReLU)
    weight = next(module.parameters())
    report = gradients(module, [torch.rand(2, 64)], loss=lambda _: 1e-20 * weight.sum())
    assert report.rows[0].sensitivity is None
    assert report.rows[0].verdict == "ok"
    bare = Written(lambda m, _: m.w)
    assert gradients(bare, [torch.ones(1)], by_use=False).rows[0].sensitivity is None
