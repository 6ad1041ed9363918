"""Compare what the tool says of a backward pass with plain torch, use by use."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paramtool.operations.gradients.isolation import undisturbed
from paramtool.operations.gradients.losses import loss_of
from paramtool.operations.gradients.passes import Passes
from paramtool.operations.gradients.splits import Split
from paramtool.tensors import streams
from paramtool.tensors.nested_values import tensors

EXACT = 1e-12
"""Relative to the sum of the norms, in float64."""


def reals(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.rand(shape, dtype=torch.float64, generator=generator)


class Written(nn.Module):
    """A module with a forward that a test writes, and the parameter ``w`` of 3 by 3."""

    def __init__(self, forward: Callable[[Any, Tensor], Any], **modules: nn.Module) -> None:
        super().__init__()
        self.w = nn.Parameter(reals(3, 3))
        self.written = forward
        for name, module in modules.items():
            self.add_module(name, module.double())

    def forward(self, x: Tensor) -> Any:
        return self.written(self, x)


def plain(
    module: nn.Module, inputs: Sequence[Any], named: Mapping[str, Any] | None = None, loss: str = "square"
) -> dict[str, Tensor | None]:
    """Return the gradients that a person gets, with the tool's random numbers for dropout."""
    before = deepcopy(module.state_dict())  # a copied TransformerDecoderLayer forgets its activation
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(streams.stream(0, ".forward").get_state())
        output = module(*inputs, **(named or {}))
        outputs = [each for each in tensors(output) if each.requires_grad]
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


def state(module: nn.Module, *inputs: Tensor) -> dict[str, object]:
    """Return all that a look at the gradients may not change, in a form that compares exactly."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    plain = [each for one in module.modules() for each in _reached(vars(one)) if isinstance(each, Tensor)]
    generators = [each for one in module.modules() for each in vars(one).values() if _is_generator(each)]
    return {
        "values": {name: _bits(each) for name, each in tensors.items()},
        "plain": [_bits(each) for each in plain],
        "inputs": [_bits(each) for each in inputs],
        "same": {name: id(each) for name, each in tensors.items()},
        "places": {name: _place(each) for name, each in tensors.items()},
        "marks": {name: (each.requires_grad, id(each.grad), each._version) for name, each in tensors.items()},
        "hooks": {name: [_ids(getattr(each, key)) for key in HOOKS] for name, each in tensors.items()},
        "attributes": [(type(one), _ids(vars(one))) for one in module.modules()],
        "members": [[_ids(each) for each in vars(one).values()] for one in module.modules()],
        "modes": [getattr(each, "training", None) for each in module.modules()],
        "random": (_bits(torch.get_rng_state()), random.getstate(), str(np.random.get_state())),
        "generators": [_bits(each.get_state()) for each in generators],
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "function modes": len(torch.overrides._get_current_function_mode_stack()),  # type: ignore[no-untyped-call]
        "global hooks": len(nn.modules.module._global_forward_hooks),
    }


HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def _is_generator(value: object) -> bool:
    return isinstance(value, torch.Generator)


def _reached(attributes: dict[str, Any]) -> list[Any]:
    values = list(attributes.values())
    return [*values, *(each for value in values if isinstance(value, list) for each in value)]


def _ids(value: Any) -> object:
    """Return who the members of a container are; None of an empty one, and of no container."""
    if isinstance(value, dict):
        return {str(key): id(each) for key, each in value.items()} or None
    return sorted(map(id, value)) or None if isinstance(value, (list, set)) else None


def _place(tensor: Tensor) -> object:
    if tensor.layout is not torch.strided:
        return None
    return tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.data_ptr()


def _bits(tensor: Tensor) -> object:
    dense = tensor.detach().to_dense().contiguous()
    return dense.dtype, dense.shape, bytes(dense.reshape(-1).view(torch.uint8).tolist())


def _norm(tensor: Tensor) -> float:
    return float(torch.linalg.vector_norm(tensor.to_dense()))
