"""Ask about sharded modules in several processes, and compare each answer with one process's."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import paramtool
from paramtool.models.open import open_checkpoint
from paramtool.network.strict_load import load

NEAR = (
    "mean",
    "std",
    "norm",
    "mean_before",
    "std_before",
    "relative_rms",
    "cosine",
    "rank",
    "effective_rank",
    "energy",
)
Shard_ = Callable[[nn.Sequential], object]
PLAN = {"1": ColwiseParallel(), "2": RowwiseParallel()}


def net(dtype: torch.dtype = torch.float32, changed: bool = False) -> Any:
    """Return a module with odd sizes, a tie, a buffer, NaN, infinity and zeros."""
    torch.manual_seed(0)
    module: Any = nn.Sequential(
        nn.Embedding(53, 30),
        nn.Linear(30, 44),
        nn.Linear(44, 26),
        nn.Linear(26, 7, bias=False),
        nn.BatchNorm1d(7),
    )
    with torch.no_grad():
        module[1].weight[3, 4] = math.nan
        module[2].weight[25, 43] = -math.inf
        module[1].bias[:9] = 0
        if changed:
            module[1].weight[43, 29] += 0.5
            module[2].bias[0] = 7
            module[0].weight.mul_(1.001)
    return module.to(dtype)


def shardings(size: int) -> Iterator[tuple[str, Shard_]]:
    line = init_device_mesh("cpu", (size,))

    def fsdp(module: nn.Sequential, mesh: Any = line, **options: Any) -> None:
        for each in module:
            fully_shard(each, mesh=mesh, **options)
        fully_shard(module, mesh=mesh, **options)

    if size < 4:
        yield "FSDP2", fsdp
        yield "tensor parallel", lambda module: parallelize_module(module, line, PLAN)
        yield "CPU offload", lambda module: fsdp(module, offload_policy=CPUOffloadPolicy(pin_memory=False))
        yield "one process holds all", lambda module: placed(module, [size - 1], [Replicate()])
        yield "columns", lambda module: placed(module, list(range(size)), [Shard(1)])
        return
    square = init_device_mesh("cpu", (2, 2), mesh_dim_names=("outer", "inner"))

    def both(module: nn.Sequential) -> None:
        parallelize_module(module, square["inner"], PLAN)
        fsdp(module, square["outer"])

    yield "FSDP2 over tensor parallel", both
    yield "hybrid", lambda module: fsdp(module, square)
    yield "some processes hold all", lambda module: placed(module, [3, 1], [Shard(0)])


def placed(module: nn.Sequential, ranks: list[int], placements: list[Any]) -> None:
    """Distribute every matrix over a mesh of some processes, and leave the rest."""
    mesh = DeviceMesh("cpu", ranks)
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


def questions(folder: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[[Any], Any]]]:
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
    yield (
        "diff to a plain module",
        lambda module: paramtool.diff(module, net(dtype, True), values=True, atol=0.1),
    )
    yield "diff of a file", lambda module: paramtool.diff(file, module, values=True)
    yield "diff of another dtype", lambda module: paramtool.diff(net(torch.float64), module, values=True)
    yield "diff of names", lambda module: paramtool.diff(nn.Sequential(net(dtype)), module, values=True)
    yield (
        "spectrum",
        lambda module: paramtool.diff(
            nn.Sequential(net(dtype)[1], nn.Linear(30, 44)), module[1:], values=True, spectrum=True
        ),
    )


def compared(folder: str, size: int) -> dict[str, Any]:
    """Return for each question whether the answer is one process's, and the answer."""
    found: dict[str, Any] = {}
    for dtype in (torch.float32, torch.bfloat16)[: 2 if size < 4 else 1]:
        if dist.get_rank() == 0:
            save_file(net(dtype, True).state_dict(), f"{folder}/{dtype}.safetensors")
        dist.barrier()
        asked = list(questions(folder, dtype))
        expected = {key: answer(ask(net(dtype))) for key, ask in asked}
        for name, shard in shardings(size):
            module = net(dtype)
            shard(module)
            if dtype is torch.float32:
                found[f"{name}, loaded"] = loaded(f"{folder}/{dtype}.safetensors", shard)
            for key, ask in asked:
                found[f"{name}, {dtype}, {key}"] = beside(answer(ask(module)), expected[key])
            if dtype is torch.bfloat16:
                break
    return found


def loaded(file: str, shard: Shard_) -> dict[str, Any]:
    """Load a checkpoint into a sharded module, and compare it with the file."""
    module = net()
    shard(module)
    load(module, open_checkpoint(file))
    report = answer(paramtool.diff(file, module, values=True))
    return {"same": report["rows"] == [], "given": report, "expected": None}


def answers(folder: str, size: int) -> dict[str, Any]:
    """Return every question with its answer, and that of one process if it is another."""
    return {
        **compared(folder, size),
        **at_random(folder, size),
        **aliased(size),
        **half_precision(size),
        **outside(size),
    }


def beside(given: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {
        "same": same(given, expected),
        "given": given,
        "expected": None if same(given, expected) else expected,
    }


def holder(**tensors: torch.Tensor) -> nn.Module:
    """Return a module with parameters, or buffers if they are whole numbers."""
    module = nn.Module()
    for name, tensor in tensors.items():
        if tensor.is_floating_point() or tensor.is_complex():
            module.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        else:
            module.register_buffer(name, tensor)
    return module


DTYPES = (
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.complex64,
    torch.float8_e4m3fn,
    torch.int64,
    torch.bool,
)


def random_tensors(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two that differ in some places, the same in every process."""
    dice = random.Random(number)
    shape = [dice.choice([1, 2, 3, 5, 8, 17]) for _ in range(dice.randint(0, 3))]
    if number == 0:
        shape = [701, 301]  # more elements than a histogram counts
    generator = torch.Generator().manual_seed(number)
    dtype = DTYPES[number % len(DTYPES)]
    one = (torch.randn(shape, generator=generator) * 4).to(dtype)
    kept = torch.rand(shape, generator=generator) < 0.7
    return one, torch.where(kept, one.to(torch.complex128), 1.0).to(
        dtype
    ) if dtype.is_complex else torch.where(kept, one.to(torch.float64), 1.0).to(dtype)


def placements_of(number: int, size: int, dimensions: int) -> list[Any]:
    dice = random.Random(f"{number} placements")
    return [dice.choice([Replicate(), *map(Shard, range(dimensions))]) for _ in range(1 + (size == 4))]


def at_random(folder: str, size: int) -> dict[str, Any]:
    """Compare answers about random tensors on random meshes with those about the tensors themselves."""
    found: dict[str, Any] = {}
    mesh = init_device_mesh("cpu", (2, 2) if size == 4 else (size,))
    for number in range(len(DTYPES) * (3 if size < 4 else 1)):
        one, other = random_tensors(number)
        plain, changed = holder(p=one), holder(p=other)
        a, b = (
            holder(
                p=distribute_tensor(each.clone(), mesh, placements_of(n, size, each.ndim), src_data_rank=None)
            )
            for each, n in ((one, number), (other, number if number % 3 else -1 - number))
        )
        file = f"{folder}/{number}.safetensors"
        if dist.get_rank() == 0:
            save_file({"p": one}, file)
        dist.barrier()
        options: dict[str, Any] = {"stats": True, "values": number % 2 == 0}
        pairs = {
            "listing": (paramtool.inspect(a, **options), paramtool.inspect(plain, **options)),
            "both": (paramtool.diff(a, b, values=True), paramtool.diff(plain, changed, values=True)),
            "file": (paramtool.diff(file, b, values=True), paramtool.diff(file, changed, values=True)),
            "names": (
                paramtool.diff(a, holder(q=one), values=True),
                paramtool.diff(plain, holder(q=one), values=True),
            ),
        }
        for key, pair in pairs.items():
            found[f"random {number} {key}"] = beside(*map(answer, pair))
    return found


def aliased(size: int) -> dict[str, Any]:
    """Ask what shares memory, where one process may hold nothing of it."""
    mesh = init_device_mesh("cpu", (size,))
    whole = torch.arange(5.0)
    p = distribute_tensor(whole.clone()[:1], mesh, [Shard(0)], src_data_rank=None)
    sparse = torch.eye(3, dtype=torch.int64).to_sparse()
    given, expected = (
        holder(p=p, q=p.detach(), r=whole.clone(), s=sparse),
        holder(p=whole[:1], q=whole[:1], r=whole.clone(), s=sparse),
    )
    shared = answer(paramtool.shared(given))
    known = answer(paramtool.shared(expected))
    for row in known["rows"]:
        row["start"] = row["stop"] = None
    state = given.state_dict()
    states = (
        answer(paramtool.inspect(state, stats=True)),
        answer(paramtool.inspect(expected.state_dict(), stats=True)),
    )
    other = expected.state_dict()
    state["extra"] = other["extra"] = {"not": "a tensor"}
    by_value = (paramtool.shared(each, by_value=True) for each in (state, other))
    differing = paramtool.diff(state, given, values=True), paramtool.diff(other, expected, values=True)
    check = answer(paramtool.check(given, {"distinct": [["p", "q"]], "shared": [["p", "r"]]}))
    others = answer(paramtool.check(expected, {"distinct": [["p", "q"]], "shared": [["p", "r"]]}))
    return {
        "aliased": beside(shared, known),
        "by value": beside(*map(answer, by_value)),
        "state_dict and module": beside(*map(answer, differing)),
        "state_dict": beside(*states),
        "check of aliased": beside(check, others),
    }


def outside(size: int) -> dict[str, Any]:
    """Initialize tensors on a mesh that process 0 is outside of."""
    found: dict[str, Any] = {}
    rules = [
        paramtool.Rule("normal", pattern="p"),
        paramtool.Rule("put", {"index": [3], "value": 42.0}, pattern="p"),
    ]
    for ranks, placement in (([size - 1], Replicate()), (list(range(1, size)), Shard(1))):
        plain = holder(p=torch.ones(6, 6))
        sharded = distribute_tensor(
            torch.ones(6, 6), DeviceMesh("cpu", ranks), [placement], src_data_rank=None
        )
        reports = (
            paramtool.initialize(each, rules, digests=True, values=True)
            for each in (holder(p=sharded), plain)
        )
        found[f"outside of {len(ranks)}"] = beside(*map(answer, reports))
    return found


def half_precision(size: int) -> dict[str, Any]:
    """Look at what FSDP2 has in another dtype after a forward pass without a backward pass."""
    mesh = init_device_mesh("cpu", (size,))
    torch.manual_seed(3)
    module, plain = nn.Sequential(nn.Linear(6, 6)), nn.Sequential(nn.Linear(6, 6))
    plain.load_state_dict(module.state_dict())
    fully_shard(module, mesh=mesh, mp_policy=MixedPrecisionPolicy(param_dtype=torch.bfloat16))
    with torch.no_grad():
        module(torch.ones(1, 6))
    found = {"half precision": beside(answer(paramtool.inspect(module)), answer(paramtool.inspect(plain)))}
    with torch.no_grad():
        module(torch.ones(1, 6))
    rules = [paramtool.Rule("normal", pattern="weight")]
    for each in (module, plain):
        paramtool.initialize(each, rules)
    answers = (answer(paramtool.inspect(each, stats=True)) for each in (module, plain))
    return {**found, "half precision, initialized": beside(*answers)}
