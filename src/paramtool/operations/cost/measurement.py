"""Measure what a forward pass of a module computes and keeps, and what inference and training take."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError, UserCodeFailed, told
from paramtool.foreign_code import foreign_code
from paramtool.network.nesting import check_nesting
from paramtool.network.twin import twin
from paramtool.operations.cost.cost_rows import FLOPS_PER_MAC, cost_rows
from paramtool.operations.cost.optimizers import state_nbytes
from paramtool.operations.cost.passes import Inference, Passes
from paramtool.operations.gradients.refusals import LARGER_BATCH, check_forward, check_lazy
from paramtool.records.cost import (
    COLUMNS,
    USUAL,
    Costs,
    CostTotals,
    InferenceMemory,
    Optimizer,
    TensorShape,
    TrainingMemory,
)
from paramtool.records.report import Report
from paramtool.tensors.kinds import nbytes_of
from paramtool.tensors.named_tensors import by_tensor, dtype_name, module_types, named_tensors
from paramtool.tensors.nested_values import placed_tensors, replaced


def cost(
    module: nn.Module,
    positional: Sequence[Any] = (),
    named: Mapping[str, Any] | None = None,
    *,
    optimizers: Sequence[Optimizer] = USUAL,
    dtype: str | None = None,
    device: str = "meta",
    seed: int = 0,
    model: str | None = None,
) -> Costs:
    """Return what one forward pass computes and keeps, and the memory of inference and training.

    A multiply-accumulate operation (MAC) is two floating-point operations, as torch's FlopCounterMode
    counts them: those of matrix products, convolutions and attention.  Additions of biases,
    normalizations, activation functions, pooling, softmax and lookups in tables do not count.

    Args:
        module: any module; it is left as it was.
        positional, named: what it is called with; on the meta device shapes and dtypes are enough.
        optimizers: for each, the memory of training is worked out.
        dtype: cast floating-point parameters, buffers and inputs to this dtype first, as ``.to(dtype)``
            does; torch's name of it.
        device: ``meta`` runs a copy without values, and takes no memory for them; ``cpu`` runs the module
            itself, for a forward that depends on values.
        seed: of dropout and other random numbers.
        model: what to call the model in the report.

    Raises:
        UserCodeFailed: if the forward raises.
        ParamtoolError: if there is no forward, a parameter is lazy, or the module cannot be copied.
    """
    levels = check_nesting(module)
    check_forward(module)
    for each in named_tensors(module):
        check_lazy(each.name, each.tensor)
    own = module_types(module)
    run, given = _prepared(module, (tuple(positional), dict(named or {})), dtype, device)
    passes = Passes(run, *given, levels, seed)
    found = passes.inference()
    saved, flops = _saved(passes)
    notes = list(found.notes)
    if flops != sum(found.flops.values()):
        notes.append(f"in training mode it computes {flops // FLOPS_PER_MAC:,} MACs")
    rows = cost_rows(run, found, saved)
    totals = _totals(run, given, found, sum(saved.values()), optimizers, dtype, device, notes)
    return Report("cost", model or type(module).__name__, tuple(rows), totals, COLUMNS, own)


def _prepared(
    module: nn.Module, given: tuple[tuple[Any, ...], dict[str, Any]], dtype: str | None, device: str
) -> tuple[nn.Module, tuple[Sequence[Any], Mapping[str, Any]]]:
    """Return what runs and what it is called with: both on `device` and of `dtype`."""
    kind = None if dtype is None else getattr(torch, dtype)
    if device == "meta":
        with foreign_code(_not_copied):
            module = twin(module, "meta")
    if kind is not None:
        with foreign_code(f"casting to {dtype}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = (module if device == "meta" else copy.deepcopy(module)).to(kind)

    def moved(tensor: Tensor) -> Tensor:
        to = kind if tensor.is_floating_point() else None
        if device != "meta":
            return tensor if to is None else tensor.to(to)
        made = torch.empty_strided(
            tuple(tensor.shape), tensor.stride(), dtype=to or tensor.dtype, device="meta"
        )
        return made.requires_grad_(tensor.requires_grad)

    return module, replaced(given, moved)


def _not_copied(error: BaseException) -> ParamtoolError:
    return UserCodeFailed(f"the model cannot be copied: {told(error)}")


def _saved(passes: Passes) -> tuple[Mapping[str, int], int]:
    try:
        return passes.saved()
    except UserCodeFailed as error:
        if error.hint in LARGER_BATCH:
            error.set_hint("use a batch of 2 or more: training is counted too")
        raise


def _totals(
    module: nn.Module,
    given: tuple[Sequence[Any], Mapping[str, Any]],
    found: Inference,
    saved: int,
    optimizers: Sequence[Optimizer],
    dtype: str | None,
    device: str,
    notes: Sequence[str],
) -> CostTotals:
    tensors = [each for each, *_ in by_tensor(named_tensors(module))]
    parameters = [each.tensor for each in tensors if each.kind == "parameter"]
    learned = [each for each in parameters if each.requires_grad]
    sizes = {
        "parameters": _nbytes(parameters),
        "buffers": _nbytes([each.tensor for each in tensors if each.kind == "buffer"]),
    }
    gradients = sum(each.numel() * each.element_size() for each in learned)
    training = []
    for optimizer in optimizers:
        states = sum(state_nbytes(optimizer, each.shape, each.element_size()) for each in learned)
        training.append(
            TrainingMemory(
                optimizer=optimizer.value,
                **sizes,
                gradients=gradients,
                states=states,
                activations=saved,
                total=sum(sizes.values()) + gradients + states + saved,
            )
        )
    return CostTotals(
        modules=sum(1 for _ in module.named_modules(remove_duplicate=False)),
        parameters=sum(each.numel() for each in parameters),
        trainable=sum(each.numel() for each in learned),
        macs=sum(found.flops.values()) // FLOPS_PER_MAC,
        activation_nbytes=saved,
        inputs=tuple(_shapes(given[0], "input") + _shapes(given[1], "")),
        outputs=tuple(_shapes(found.output, "output")),
        dtype=dtype,
        device=device,
        inference=InferenceMemory(**sizes, activations=found.most, total=sum(sizes.values()) + found.most),
        training=tuple(training),
        notes=tuple(dict.fromkeys(notes)),
    )


def _nbytes(tensors: Sequence[Tensor]) -> int:
    return sum(nbytes_of(each) or 0 for each in tensors)


def _shapes(value: Any, place: str) -> list[TensorShape]:
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    found = []
    for name, tensor in placed_tensors(value, place):
        shape = () if tensor.is_nested else tuple(tensor.shape)
        said = name if place else name.strip("[]'")
        found.append(TensorShape(name=said, shape=shape, dtype=dtype_name(tensor)))
    return found
