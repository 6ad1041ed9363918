"""Ask about sharded modules what has no answer, or what one process alone cannot answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

import paramtool
from tests.sharded_answers import holder


class Fork(nn.Module):
    """Uses a layer in one process alone."""

    def __init__(self, mesh: Any) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)
        parallelize_module(self, mesh, {"a": ColwiseParallel(output_layouts=Replicate())})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.a(x)
        return y if dist.get_rank() else self.b(y)


def refused(folder: str, size: int) -> dict[str, str]:  # noqa: PLR0915 - a case in each
    """Return what is said where there is no answer, with cases in which one process alone complains."""
    mesh, found = init_device_mesh("cpu", (size,)), dict[str, str]()
    is_first = dist.get_rank() == 0

    def attempt(name: str, ask: Callable[[], object]) -> None:
        try:
            ask()
        except paramtool.ParamtoolError as error:
            found[name] = f"{error.message}; {error.hint}"

    def sharded(*sizes: int) -> Any:
        module = nn.Sequential(*(nn.Linear(6, each) for each in sizes))
        return fully_shard(module, mesh=mesh)

    partial = holder(p=DTensor.from_local(torch.ones(3), mesh, [Partial()]))
    attempt("partial", lambda: paramtool.inspect(partial, stats=True))
    attempt("partial values", lambda: paramtool.diff(partial, partial, values=True))
    attempt("by use", lambda: paramtool.gradients(sharded(6), [torch.ones(1, 6)], by_use=True))
    attempt("layers", lambda: paramtool.gradients(sharded(6), [torch.ones(1, 6)], layers=True))
    attempt("cost", lambda: paramtool.cost(sharded(6), [torch.ones(1, 6)]))
    attempt("reached", lambda: paramtool.gradients(Fork(mesh), [torch.ones(1, 6)]))
    bare: Any = fully_shard(nn.Linear(6, 6, device="meta"), mesh=mesh)
    attempt("meta", lambda: paramtool.shared(bare, by_value=True))
    failing = sharded(6)
    attempt("forward", lambda: paramtool.gradients(failing, [torch.ones(1, 5)]))
    found["forward, then"] = str(paramtool.gradients(failing, [torch.ones(1, 6)]).rows[0].verdict)
    attempt("other modules", lambda: paramtool.inspect(sharded(6, *([] if is_first else [6])), stats=True))
    attempt("other layout", lambda: paramtool.shared(sharded(6) if is_first else sharded(8)))
    file = f"{folder}/{torch.float32}.safetensors"
    attempt(
        "file", lambda: paramtool.diff(file if is_first else f"{folder}/none.pt", sharded(6), values=True)
    )
    attempt(
        "reference",
        lambda: paramtool.check(
            sharded(6), {"same_as": file if is_first else f"{folder}/none.pt", "finite": True}
        ),
    )
    freed = sharded(6)
    if is_first:
        freed[0].weight.to_local().untyped_storage().resize_(0)
    attempt("freed", lambda: paramtool.inspect(freed, stats=True))
    attempt("freed values", lambda: paramtool.diff(freed, sharded(6), values=True))
    own = sharded(6)
    own.register_buffer("b", torch.tensor(float(dist.get_rank())))
    found["own buffer"] = str(paramtool.inspect(own, stats=True).rows[-1].max)
    left = sharded(6)
    dist.barrier()
    dist.destroy_process_group()
    attempt("not connected", lambda: paramtool.inspect(left, stats=True))
    return found
