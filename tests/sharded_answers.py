"""Ask about sharded modules in several processes, and compare each answer with one process's.

Run as ``python -m tests.sharded_answers FOLDER SIZE``: each of SIZE processes writes what it found.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.multiprocessing.spawn import spawn

import paramtool

NEAR = ("mean", "std", "norm", "relative_rms", "cosine", "rank", "effective_rank", "energy")
Shard_ = Callable[[nn.Sequential], object]
PLAN = {"1": ColwiseParallel(), "2": RowwiseParallel()}


def net(dtype: torch.dtype = torch.float32, changed: bool = False) -> nn.Sequential:
    """Return a module with odd sizes, a tie, a buffer, NaN, infinity and zeros."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Embedding(53, 30), nn.Linear(30, 44), nn.Linear(44, 26), nn.Linear(26, 7, bias=False), nn.BatchNorm1d(7)
    )
    with torch.no_grad():
        module[1].weight[3, 4] = math.nan
        module[2].weight[25, 43] = -math.inf
        module[1].bias[:9] = 0
        if changed:
            module[1].weight[43, 29] += 0.5
            module[2].bias[0] = 7
            module[0].weight *= 1.001
    return module.to(dtype)


def shardings(size: int) -> Iterator[tuple[str, Shard_]]:
    line = init_device_mesh("cpu", (size,))

    def fsdp(module: nn.Sequential, mesh: Any = line, **options: Any) -> None:
        for each in module:
            fully_shard(each, mesh=mesh, **options)
        fully_shard(module, mesh=mesh, **options)

    yield "FSDP2", fsdp
    yield "tensor parallel", lambda module: parallelize_module(module, line, PLAN)
    if size == 1:
        return
    yield "CPU offload", lambda module: fsdp(module, offload_policy=CPUOffloadPolicy(pin_memory=False))
    yield "one process holds all", lambda module: placed(module, [size - 1], [Replicate()])
    yield "columns", lambda module: placed(module, list(range(size)), [Shard(1)])
    if size == 4:
        square = init_device_mesh("cpu", (2, 2), mesh_dim_names=("outer", "inner"))

        def both(module: nn.Sequential) -> None:
            parallelize_module(module, square["inner"], PLAN)
            fsdp(module, square["outer"])

        yield "FSDP2 over tensor parallel", both
        yield "hybrid", lambda module: fsdp(module, square)


def placed(module: nn.Sequential, ranks: list[int], placements: list[Any]) -> None:
    """Distribute every matrix over a mesh of some processes, and leave the rest."""
    mesh = torch.distributed.device_mesh.DeviceMesh("cpu", ranks)
    for each in module:
        if isinstance(each, (nn.Linear, nn.Embedding)):
            whole = each.weight.detach().clone()
            each.weight = nn.Parameter(distribute_tensor(whole, mesh, placements, src_data_rank=None))


def same(a: Any, b: Any, key: str = "") -> bool:
    """Return whether two answers agree: to rounding where sums are merged, else exactly."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], key) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b, [key] * len(a)))
    if isinstance(a, float) and isinstance(b, float):
        equal = a == b or (math.isnan(a) and math.isnan(b))
        return equal or (key in NEAR and abs(a - b) <= 1e-9 * max(1.0, abs(b)))
    return bool(a == b)


def answer(report: Any) -> dict[str, Any]:
    totals = asdict(report.totals)
    for key in ("a", "b"):
        totals.pop(key, None)
    rows = [asdict(row) for row in report.rows]
    for row in rows:
        row.pop("model", None)
    return {"rows": rows, "totals": totals}


def questions(folder: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[[nn.Module], Any]]]:
    """Yield what is asked of a module, sharded or not."""
    file = f"{folder}/{dtype}.safetensors"
    expect = {
        "parameters": "4k", "finite": True, "shared": [["0.weight", "3.weight"]], "dtype": "float32",
        "trainable": "10k", "same_as": file,
    }  # fmt: skip
    yield "inspect", lambda module: paramtool.inspect(module, stats=True, values=True)
    yield "names", paramtool.inspect
    yield "shared", paramtool.shared
    yield "by value", lambda module: paramtool.shared(module, by_value=True)
    yield "check", lambda module: paramtool.check(module, expect)
    yield "diff of a plain module", lambda module: paramtool.diff(net(dtype, True), module, values=True)
    yield "diff to a plain module", lambda module: paramtool.diff(module, net(dtype, True), values=True, atol=0.1)
    yield "diff of a file", lambda module: paramtool.diff(file, module, values=True)
    yield "diff of another dtype", lambda module: paramtool.diff(net(torch.float64), module, values=True)
    yield "diff of names", lambda module: paramtool.diff(nn.Sequential(net(dtype)), module, values=True)
    yield "spectrum", lambda module: paramtool.diff(
        nn.Sequential(net(dtype)[1], nn.Linear(30, 44)), module[1:], values=True, spectrum=True
    )


def compared(folder: str, size: int) -> dict[str, Any]:
    """Return for each question whether the answer is one process's, and the answer."""
    found: dict[str, Any] = {}
    for dtype in (torch.float32, torch.bfloat16):
        if dist.get_rank() == 0:
            save_file(net(dtype, True).state_dict(), f"{folder}/{dtype}.safetensors")
        dist.barrier()
        asked = list(questions(folder, dtype))
        expected = {key: answer(ask(net(dtype))) for key, ask in asked}
        for name, shard in shardings(size):
            module = net(dtype)
            shard(module)
            for key, ask in asked:
                given = answer(ask(module))
                found[f"{name}, {dtype}, {key}"] = [same(given, expected[key]), given, expected[key]]
            if dtype is torch.bfloat16:
                break
    return found


def process(rank: int, folder: str, size: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    result = {"answers": compared(folder, size)}
    (Path(folder) / f"{rank}.json").write_text(json.dumps(result))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn(process, (sys.argv[1], int(sys.argv[2])), int(sys.argv[2]))  # type: ignore[no-untyped-call]
