"""Run sharded modules in several processes, and compare their gradients with one process's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import paramtool
from tests.sharded_answers import answer


def trained(size: int) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """Yield modules that run, with what they are in one process."""

    def plain() -> nn.Sequential:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 5), nn.LayerNorm(5))

    line = init_device_mesh("cpu", (size,))
    plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}

    def fsdp(module: Any, mesh: Any) -> Any:
        for each in (module[0], module[2]):
            fully_shard(each, mesh=mesh)
        return fully_shard(module, mesh=mesh)

    yield "FSDP2", fsdp(plain(), line), plain()
    yield "tensor parallel", parallelize_module(plain(), line, plan), plain()
    outputs = {
        "0": ColwiseParallel(),
        "2": ColwiseParallel(input_layouts=Replicate(), use_local_output=False),
    }
    yield (
        "sharded output",
        parallelize_module(plain()[:3], line, {**outputs, "0": ColwiseParallel(output_layouts=Replicate())}),
        plain()[:3],
    )
    if size == 4:
        square = init_device_mesh("cpu", (2, 2), mesh_dim_names=("outer", "inner"))
        yield "both", fsdp(parallelize_module(plain(), square["inner"], plan), square["outer"]), plain()
        yield "hybrid", fsdp(plain(), square), plain()


def gradients(size: int) -> dict[str, Any]:
    """Compare gradients, and look whether the module is as it was and goes on."""
    found: dict[str, Any] = {}
    inputs = [torch.randn(7, 6, generator=torch.Generator().manual_seed(2))]
    for name, module, plain in trained(size):
        before = [
            each.to_local().clone() if isinstance(each, DTensor) else each.clone()
            for each in module.parameters()
        ]
        held = [isinstance(each, DTensor) for each in module.state_dict().values()]
        given = paramtool.gradients(module, inputs, loss="projection", values=True)
        expected = paramtool.gradients(plain, inputs, loss="projection", values=True, by_use=False)
        rows = [
            (a.name, a.verdict) == (b.name, b.verdict)
            and torch.allclose(elements(a), elements(b), rtol=1e-4, atol=1e-5)
            and all(math.isclose(x, y, rel_tol=1e-4) for x, y in zip(sizes(a), sizes(b), strict=True))
            for a, b in zip(given.rows, expected.rows, strict=True)
        ]
        after = [each.to_local() if isinstance(each, DTensor) else each for each in module.parameters()]
        is_as_before = all(map(torch.equal, before, after)) and all(
            each.grad is None for each in module.parameters()
        )
        with torch.no_grad():
            module.eval()(*inputs)  # after which FSDP2 leaves what its root holds whole
        stored = [isinstance(each, DTensor) for each in module.state_dict().values()]
        module.train()
        again = answer(paramtool.gradients(module, inputs, loss="projection", values=True)) == answer(given)
        found[name] = {
            "rows": all(rows) and len(rows) > 3, "before": is_as_before, "again": again,
            "stored": stored == held,
            "given": answer(given),
        }  # fmt: skip
    return found


def elements(row: Any) -> torch.Tensor:
    return torch.tensor(row.gradient.values)


def sizes(row: Any) -> list[float]:
    return [row.norm, row.abs_max, row.ratio or 0.0, row.sensitivity]
