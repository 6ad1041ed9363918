"""Initialize sharded modules in several processes, and compare each byte with one process's."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import paramtool
from paramtool.records.initialization import Initialization

RULES = (
    paramtool.Rule("normal", {"std": 0.02}, pattern="weight"),
    paramtool.Rule("zeros", pattern="bias"),
    paramtool.Rule("xavier_uniform", pattern="2.weight"),
    paramtool.Rule("trunc_normal", {"std": 1.0}, pattern="1.weight"),
    paramtool.Rule("add", {"value": 0.5}, pattern="bias"),
    paramtool.Rule("put", {"index": [3], "value": 42.0}, pattern="1.weight"),
    paramtool.Rule("orthogonal", pattern="3.weight"),
)
Case = Callable[[], tuple[nn.Module, nn.Module, tuple[paramtool.Rule, ...]]]


def net(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(53, 30), nn.Linear(30, 44), nn.Linear(44, 26), nn.Linear(26, 7, bias=False)
    ).to(dtype)


def of_layers(dtype: torch.dtype, shard: Callable[[nn.Sequential], object]) -> Case:
    def case() -> tuple[nn.Module, nn.Module, tuple[paramtool.Rule, ...]]:
        module = net(dtype)
        shard(module)
        return net(dtype), module, RULES

    return case


def of_placements(number: int, size: int) -> Case:
    """Return a random tensor, mesh and placements; the same in every process."""
    dice = random.Random(number)
    shape = [dice.choice([1, 2, 3, 5, 8, 17, 33]) for _ in range(dice.randint(0, 3))]
    mesh_shape = dice.choice([(size,), (2, size // 2)] if size % 2 == 0 else [(size,)])
    choices = [Replicate(), *(Shard(dim) for dim in range(len(shape)))]
    placements = [dice.choice(choices) for _ in mesh_shape]
    dtype = dice.choice([torch.float32, torch.bfloat16, torch.float64, torch.complex64])
    names = ["normal", "zeros", "ones", "uniform", "trunc_normal"] if not dtype.is_complex else ["normal"]
    rules = [paramtool.Rule(dice.choice(names), pattern=".")]
    if not dtype.is_complex:
        rules += dice.choice([[], [paramtool.Rule("mul", {"value": 3.0}, pattern=".")]])

    def case() -> tuple[nn.Module, nn.Module, tuple[paramtool.Rule, ...]]:
        def holder() -> nn.Module:
            module = nn.Module()
            module.register_parameter("p", nn.Parameter(torch.ones(shape, dtype=dtype)))
            return module

        plain, module = holder(), holder()
        mesh = init_device_mesh("cpu", mesh_shape)
        module.p = nn.Parameter(
            distribute_tensor(plain.get_parameter("p").detach().clone(), mesh, placements)
        )
        return plain, module, tuple(rules)

    return case


def cases(size: int) -> Iterator[tuple[str, Case]]:
    line = init_device_mesh("cpu", (size,))
    plan = {"1": ColwiseParallel(), "2": RowwiseParallel()}

    def fsdp(module: nn.Sequential, mesh: DeviceMesh = line) -> None:
        for each in module:
            fully_shard(each, mesh=mesh)
        fully_shard(module, mesh=mesh)

    yield "FSDP2", of_layers(torch.float32, fsdp)
    yield "FSDP2 in bfloat16", of_layers(torch.bfloat16, fsdp)
    yield "tensor parallel", of_layers(torch.float32, lambda module: parallelize_module(module, line, plan))
    if size == 4:
        square = init_device_mesh("cpu", (2, 2), mesh_dim_names=("outer", "inner"))

        def both(module: nn.Sequential) -> None:
            parallelize_module(module, square["inner"], plan)
            fsdp(module, square["outer"])

        yield "FSDP2 over tensor parallel", of_layers(torch.float32, both)
        yield "hybrid", of_layers(torch.float32, lambda module: fsdp(module, square))
    for number in range(40):
        yield f"placement {number}", of_placements(number, size)


def compared(case: Case) -> dict[str, object]:
    plain, module, rules = case()
    expected = paramtool.initialize(plain, rules, seed=3, digests=True)
    found = paramtool.initialize(module, rules, seed=3, digests=True)
    wholes = [each.full_tensor() if isinstance(each, DTensor) else each for each in module.parameters()]
    return {
        "equal": all(map(torch.equal, wholes, plain.parameters())),
        "digests": [row.sha256 for row in found.rows] == [row.sha256 for row in expected.rows],
        "near": all(map(is_near, moments(found), moments(expected))),
        "moments": moments(found),
    }


def moments(report: Initialization) -> list[float | None]:
    keys = ("mean", "std", "min", "max")
    return [getattr(row, f"{key}{end}") for row in report.rows for key in keys for end in ("", "_before")]


def is_near(a: float | None, b: float | None) -> bool:
    return a == b or (a is not None and b is not None and abs(a - b) <= 1e-9 * max(1.0, abs(b)))


def refused(size: int) -> dict[str, str]:
    """Return what is said of what cannot be filled, with a case where one process alone complains."""
    mesh = init_device_mesh("cpu", (size,))
    found: dict[str, str] = {}

    def attempt(name: str, module: nn.Module, rules: tuple[paramtool.Rule, ...], **options: str) -> None:
        before = [each.to_local().clone() for each in module.parameters() if isinstance(each, DTensor)]
        try:
            paramtool.initialize(module, rules, **options)  # type: ignore[arg-type]
        except paramtool.ParamtoolError as error:
            found[name] = error.message
        after = [each.to_local() for each in module.parameters() if isinstance(each, DTensor)]
        assert all(map(torch.equal, before, after)), name

    def sharded() -> nn.Module:
        module = nn.Sequential(nn.Linear(8, 8))
        fully_shard(module, mesh=mesh)
        return module

    normal = (paramtool.Rule("normal", pattern="weight"),)
    attempt("torch", sharded(), normal, rng="torch")
    partial = nn.Module()
    partial.p = nn.Parameter(DTensor.from_local(torch.ones(3), mesh, [Partial()]))
    attempt("partial", partial, (paramtool.Rule("normal", pattern="p"),))
    other = normal if dist.get_rank() else (paramtool.Rule("normal", {"std": -1.0}, pattern="weight"),)
    attempt("one", sharded(), other)
    return found
