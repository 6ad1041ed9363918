"""The initializers that see a whole tensor at once: eye, dirac, orthogonal, sparse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., object])


def after(check: Callable[..., None]) -> Callable[[Function], Function]:
    """Give a function what refuses a shape, or an option, before anything is filled."""

    def attach(function: Function) -> Function:
        function.check = check  # type: ignore[attr-defined]
        return function

    return attach


def _is_matrix(shape: Sequence[int]) -> None:
    if len(shape) != 2:
        raise ValueError(f"it needs 2 dimensions, got {len(shape)}")


def _has_columns(shape: Sequence[int], **_: Any) -> None:
    if len(shape) < 2:
        raise ValueError(f"it needs 2 or more dimensions, got {len(shape)}")


def _is_convolution(shape: Sequence[int], groups: int = 1) -> None:
    if not 3 <= len(shape) <= 5:
        raise ValueError(f"it needs 3, 4 or 5 dimensions, got {len(shape)}")
    if groups < 1 or shape[0] % groups:
        raise ValueError(f"{shape[0]} output channels do not split into {groups} groups")


def _can_be_sparse(shape: Sequence[int], sparsity: float, std: float = 0.01) -> None:
    _is_matrix(shape)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be a fraction from 0 to 1, got {sparsity:g}")
    if not std >= 0:
        raise ValueError(f"std must be 0 or more, got {std:g}")


@after(_is_matrix)
def eye(tensor: Tensor) -> None:
    """Fill a matrix with ones on the diagonal and zeros elsewhere."""
    from torch import nn

    nn.init.eye_(tensor)


@after(_is_convolution)
def dirac(tensor: Tensor, groups: int = 1) -> None:
    """Fill a convolution's weight so that it passes its input on, channel by channel."""
    from torch import nn

    nn.init.dirac_(tensor, groups)


@after(_has_columns)
def orthogonal(tensor: Tensor, gain: float = 1.0, *, generator: torch.Generator) -> None:
    """Fill with a (semi-)orthogonal matrix times `gain`; further dimensions count as columns.

    Source: Saxe, McClelland, Ganguli 2013, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks".  Its last bits may depend on the number of threads.
    """
    from torch import nn

    nn.init.orthogonal_(tensor, gain, generator=generator)


@after(_can_be_sparse)
def sparse(tensor: Tensor, sparsity: float, std: float = 0.01, *, generator: torch.Generator) -> None:
    """Draw a matrix from N(0, std²), with the fraction `sparsity` of each column zero.

    Source: Martens 2010, "Deep learning via Hessian-free optimization".
    """
    import torch
    from torch import nn

    # torch draws the places of the zeros from the global generator
    state = torch.get_rng_state()
    torch.set_rng_state(generator.get_state())
    try:
        nn.init.sparse_(tensor, sparsity, std)
    finally:
        torch.set_rng_state(state)
