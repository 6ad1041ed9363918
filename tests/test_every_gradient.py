"""Every module class of torch.nn that runs: its gradients are torch's, and the sums of their uses."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paramtool.operations.gradients.backpropagation import gradients
from paramtool.tensors.nested_values import tensors
from tests.gradient_check import check, state
from tests.test_every_module import FORMS, NAMES
from tests.test_folded_uses import assert_equal

WITHOUT_FORWARD = (
    "Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase",
    "RNNCellBase",
)  # fmt: skip
"""Classes that only hold what others run."""

CONSTRUCTED: dict[str, Callable[[], nn.Module]] = {
    "Upsample": lambda: nn.Upsample(scale_factor=2),
    "UpsamplingBilinear2d": lambda: nn.UpsamplingBilinear2d(scale_factor=2),
    "UpsamplingNearest2d": lambda: nn.UpsamplingNearest2d(scale_factor=2),
}
"""Classes that take nothing by force, and yet do nothing without it."""

NO_DECODER = ("Transformer", 1)
"""The one form that is built and never run: an Identity in the place of a decoder, which gets two inputs."""

CASES = [
    pytest.param(name, make, id=f"{name}-{index}")
    for name in NAMES
    if name not in WITHOUT_FORWARD
    for index, make in enumerate(
        [CONSTRUCTED[name]]
        if name in CONSTRUCTED
        else [make for _, make in FORMS[name]]
        if name in FORMS
        else [getattr(nn, name)]
    )
    if (name, index) != NO_DECODER
]


def reals(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(shape, dtype=torch.float64, generator=generator)


def integers(high: int, *shape: int) -> Tensor:
    return torch.arange(torch.Size(shape).numel()).remainder(high).reshape(shape)


@cache
def offers() -> list[tuple[Tensor, ...]]:
    """Return inputs of many forms: the first that a module takes is what it is run on."""
    shapes = (
        (4, 6), (2, 4), (2, 3), (2, 6), (3, 2), (2, 5), (3, 16), (2, 4, 6), (2, 3, 4), (3, 2, 4), (2, 2, 8),
        (2, 3, 8), (2, 4, 8), (2, 1, 8, 8), (2, 3, 8, 8), (2, 4, 8, 8), (2, 2, 8, 8), (2, 8, 8, 8),
        (2, 1, 8, 8, 8), (2, 2, 8, 8, 8), (2, 3, 8, 8, 8), (2, 4, 8, 8, 8),
    )  # fmt: skip
    alike = [(reals(3, 5), reals(3, 5)), (reals(2, 2), reals(2, 2)), (reals(2, 4), reals(2, 4), reals(2, 4))]
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
    lengths = torch.tensor([5, 5]), torch.tensor([2, 2])
    return [
        *((reals(*shape),) for shape in shapes),
        (integers(3, 2, 2),),
        (integers(2, 6), torch.tensor([0, 2, 6])),
        *alike,
        (reals(3, 5), integers(5, 3)),
        (reals(4, 3), integers(3, 4)),
        (reals(4, 2), integers(2, 4)),
        (reals(4, 2, 3, 3), integers(2, 4, 3, 3)),
        (reals(4, 6), integers(10, 4)),
        (reals(2, 4), integers(3, 2)),
        (reals(2, 4), integers(3, 2, 2)),
        (reals(2, 2), reals(2, 3)),
        (reals(4, 2), integers(2, 4, 2).double()),
        (reals(2, 4), reals(2, 4), signs),
        (reals(4), reals(4).flip(0), signs.repeat(2)),
        (reals(3, 5), integers(5, 3, 5)),
        (reals(3, 5), reals(3, 5), torch.ones(3, 5)),
        (reals(3, 2, 4), reals(3, 2, 4), reals(3, 2, 4)),
        (reals(3, 2, 4), reals(3, 2, 3), reals(3, 2, 5)),
        (reals(3, 2, 4), reals(2, 2, 4)),
        (reals(1, 2, 3), torch.tensor([[[0, 2, 4], [1, 3, 5]]])),
        (reals(1, 2, 2, 2), torch.tensor([0, 2, 9, 11]).expand(1, 2, 4).reshape(1, 2, 2, 2)),
        (reals(1, 1, 2, 2, 2), torch.arange(8).reshape(1, 1, 2, 2, 2)),
        (reals(5, 2, 4), torch.tensor([[1, 2], [2, 0]]), *lengths),
    ]


class Scaled(nn.Module):
    """A module behind a parameter that scales its first input, so that each has one to learn."""

    def __init__(self, inner: nn.Module, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.25, 0.75, size, dtype=torch.float64))
        self.inner = inner

    def forward(self, first: Tensor, *others: Tensor) -> Any:
        """Run the inner module."""
        return self.inner(first * self.scale if first.is_floating_point() else first, *others)


def runnable(make: Callable[[], nn.Module]) -> tuple[nn.Module, tuple[Tensor, ...]] | None:
    """Return the module in float64, and the first offer that goes forward and backward through it."""
    for offer in offers():
        torch.manual_seed(0)
        module = Scaled(make().double(), offer[0].shape[-1])
        try:
            outputs = [each for each in tensors(module(*offer)) if each.requires_grad]
            torch.stack([each.square().sum() for each in outputs]).sum().backward()  # type: ignore[no-untyped-call]
        except Exception:
            continue
        module.zero_grad()
        return module, offer
    return None


@pytest.mark.parametrize(("name", "make"), CASES)
def test_gradients_are_those_of_torch_and_the_sums_of_their_uses(
    name: str, make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every class, its gradients are torch's, its uses add up to them, and it is left as it was.

    Measured and let go during the pass, the uses have the same numbers.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecated classes
        found = runnable(make)
        assert found, name
        module, inputs = found
        uses = check(module, inputs)
        before = state(module, *inputs)
        gradients(module, inputs, steps=2)
        assert_equal(module, inputs, monkeypatch)
        assert state(module, *inputs) == before
    reached = [key for key, each in uses.items() if each]
    assert reached


def test_what_is_left_out_has_no_forward() -> None:
    """The classes that the sweep leaves out are those that cannot be called."""
    runs = {case.values[0] for case in CASES}
    assert set(NAMES) - runs == set(WITHOUT_FORWARD)
    for name in ("Container", "Module", "ModuleDict", "ModuleList", "RNNBase", "RNNCellBase"):
        assert getattr(nn, name).forward is nn.Module.forward
    with pytest.raises(RuntimeError, match="should not be called"):
        nn.ParameterList()(1)
