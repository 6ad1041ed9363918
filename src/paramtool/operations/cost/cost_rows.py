"""A row for each module, with what it has of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from torch import nn

from paramtool.name_parts import parent
from paramtool.operations.cost.passes import Inference
from paramtool.records.cost import CostRow
from paramtool.tensors.named_tensors import by_tensor, named_tensors

FLOPS_PER_MAC = 2
"""A multiplication and an addition."""


def cost_rows(module: nn.Module, found: Inference, saved: Mapping[str, int]) -> list[CostRow]:
    """Return a row for each path of a module that was called, or has parameters of its own.

    Args:
        module: the model.
        found: by the pass in evaluation mode.
        saved: the bytes that autograd saves, by path.
    """
    parameters: Counter[str] = Counter()
    for first, *_ in by_tensor(each for each in named_tensors(module) if each.kind == "parameter"):
        parameters[parent(first.name)] += first.tensor.numel()
    rows = []
    for path, each in module.named_modules(remove_duplicate=False):
        if found.calls[path] or parameters[path] or saved.get(path):
            rows.append(
                CostRow(
                    name=path,
                    type=type(each).__name__,
                    calls=found.calls[path],
                    output_shape=found.shapes.get(path),
                    parameters=parameters[path],
                    macs=found.flops[path] // FLOPS_PER_MAC,
                    activation_nbytes=saved.get(path, 0),
                    bases=tuple(kind.__name__ for kind in type(each).__mro__),
                )
            )
    return rows
