"""The initializers that see a whole tensor at once: eye, dirac, orthogonal, sparse."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def eye(tensor: Tensor) -> None:
    """Fill a matrix with ones on the diagonal and zeros elsewhere."""
    nn.init.eye_(tensor)


def dirac(tensor: Tensor, groups: int = 1) -> None:
    """Fill a convolution's weight so that it passes its input on, channel by channel."""
    nn.init.dirac_(tensor, groups)


def orthogonal(tensor: Tensor, gain: float = 1.0, *, generator: torch.Generator) -> None:
    """Fill with a (semi-)orthogonal matrix times `gain`; further dimensions count as columns.

    Source: Saxe, McClelland, Ganguli 2013, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks".  Its last bits may depend on the number of threads.
    """
    nn.init.orthogonal_(tensor, gain, generator=generator)


def sparse(tensor: Tensor, sparsity: float, std: float = 0.01, *, generator: torch.Generator) -> None:
    """Draw a matrix from N(0, std²), with the fraction `sparsity` of each column zero.

    Source: Martens 2010, "Deep learning via Hessian-free optimization".
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is a fraction from 0 to 1, got {sparsity:g}")
    # torch draws the places of the zeros from the global generator
    state = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        nn.init.sparse_(tensor, sparsity, std)
    finally:
        torch.set_rng_state(state)
