"""Compare what the tool says of a backward pass with plain torch, use by use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from paramtool import streams
from paramtool.operations.gradients.losses import loss_of, output_tensors
from paramtool.operations.gradients.passes import Passes
from paramtool.operations.gradients.splits import Split
from paramtool.operations.gradients.undisturbed import undisturbed

EXACT = 1e-12
"""Relative to the sum of the norms, in float64."""


def plain(
    module: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any] | None = None, loss: str = "square"
) -> dict[str, Tensor | None]:
    """Return the gradients that a person gets, with the tool's random numbers for dropout."""
    before = deepcopy(module.state_dict())  # a copied TransformerDecoderLayer forgets its activation
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(streams.stream(0, ".forward").get_state())
        output = module(*inputs, **(named or {}))
        outputs = [each for _, each in output_tensors(output) if each.requires_grad]
        loss_of(loss, outputs, 0).backward()  # type: ignore[no-untyped-call]
    found = {name: each.grad for name, each in module.named_parameters()}
    module.zero_grad(set_to_none=True)
    module.load_state_dict(before)
    return found


def split(
    module: nn.Module,
    inputs: Sequence[Any],
    named: Mapping[str, Any] | None = None,
    *,
    loss: str = "square",
    steps: int = 1,
) -> dict[str, tuple[Tensor | None, list[Split]]]:
    """Return for each parameter its gradient, and its uses with what each of them added."""
    passes = Passes(module, tuple(inputs), dict(named or {}), loss, 0, True, False)
    with undisturbed(module, None, 0) as kept:
        passes.run(list(module.parameters()), steps, kept)
        assert passes.splits is not None
        return {name: (each.grad, passes.splits.of(each)) for name, each in module.named_parameters()}


def check(
    module: nn.Module,
    inputs: Sequence[Any],
    named: Mapping[str, Any] | None = None,
    *,
    loss: str = "square",
    exact: float = EXACT,
) -> dict[str, list[tuple[str, int, str]]]:
    """Assert that gradients are those of plain torch and the sums of their uses; return the uses."""
    expected = plain(module, inputs, named, loss)
    found = split(module, inputs, named, loss=loss)
    for name, (gradient, uses) in found.items():
        other = expected[name]
        assert (gradient is None) == (other is None), name
        added = [each.gradient for each in uses if each.gradient is not None]
        if gradient is None or other is None:
            assert not added
            continue
        scale = sum(_norm(each) for each in added)
        assert _norm(gradient.to_dense() - other.to_dense()) <= exact * scale, name
        total = torch.zeros_like(gradient.to_dense())
        for each in added:
            total += each.to_dense()
        assert _norm(total - gradient.to_dense()) <= exact * scale, name
    return {
        name: [(each.call.path, each.call.number, each.operation) for each in uses]
        for name, (_, uses) in found.items()
    }


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.to_dense()))
