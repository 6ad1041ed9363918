"""Kinds of modules that people have: compiled, scripted, lazy, with layers that torch does not see."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def plain() -> nn.Module:
    """Return two linear layers."""
    return nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))


def compiled() -> nn.Module:
    """Return them compiled."""
    module: Any = torch.compile(plain())
    return module  # type: ignore[no-any-return]


def half_compiled() -> nn.Module:
    """Return them, the first compiled."""
    first: Any = torch.compile(nn.Linear(4, 3))
    return nn.Sequential(first, nn.Linear(3, 1))


def parallel() -> nn.Module:
    """Return them for several devices."""
    return nn.DataParallel(plain())


def scripted() -> nn.Module:
    """Return them as a script."""
    return torch.jit.script(plain())


def traced() -> nn.Module:
    """Return them traced."""
    return torch.jit.trace(plain(), torch.ones(2, 4))  # type: ignore[no-any-return,no-untyped-call]


class Instance(nn.Module):
    """Has a forward of the instance's own, as hooks of accelerate set it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.forward = lambda x: self.layer(x)  # noqa: PLW0108 - a function of its own


class Lazy(nn.Module):
    """Has a layer whose shape an input decides."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


class Hidden(nn.Module):
    """Keeps layers and Parameters where torch does not look."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4), nn.Linear(4, 4)]
        self.by_name = {"a": nn.Linear(4, 4)}
        self.ws = [nn.Parameter(torch.ones(3))]
        self.head = nn.Linear(4, 2, bias=False)
        self.known = [self.head]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        y: Tensor = self.head(self.by_name["a"](x)) * self.ws[0][0]
        return y


class OnCpu(nn.Module):
    """Computes numbers on an explicit device, as many models of transformers and timm do."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        rates = [x.item() for x in torch.linspace(0, 0.1, 4, device="cpu")]
        ones = torch.zeros(4, device="cpu").fill_(1).tolist()
        drawn = torch.randint(1, 5, (1,), device="cpu").item()
        steps = torch.arange(3, device=torch.device("cpu")).tolist()
        assert rates[-1] > 0
        assert ones == [1, 1, 1, 1]
        assert drawn >= 1
        assert steps == [0, 1, 2]
        self.layer = nn.Linear(width, width)
