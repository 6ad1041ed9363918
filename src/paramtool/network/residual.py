"""The one module of the language that torch lacks."""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """x + f(x), with f called ``module``: ``0.module.weight``."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x + module(x)``; the shapes must broadcast."""
        f: torch.Tensor = self.module(x)
        return x + f
