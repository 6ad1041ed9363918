"""Measure what one element and one file cost: ``python -m benchmarks.scale`` prints docs/scale.md's times.

CPU seconds, not those of the clock: other work on the machine changes them least.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

import paramtool
from benchmarks.machine import machine
from benchmarks.measure import Command
from paramtool.initializers.functions import elementwise
from paramtool.initializers.functions.laws import Law
from paramtool.operations.initialization.steps import run_law
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.streams import BLOCK, stream

SHAPE = (8192, 8192)
LAWS: dict[str, Law] = {
    "zeros": elementwise.zeros(SHAPE),
    "mul": elementwise.mul(SHAPE, 0.5),
    "uniform": elementwise.uniform(SHAPE),
    "xavier_uniform": elementwise.xavier_uniform(SHAPE),
    "normal": elementwise.normal(SHAPE, std=0.02),
    "kaiming_normal": elementwise.kaiming_normal(SHAPE),
    "trunc_normal": elementwise.trunc_normal(SHAPE, std=0.02),
}
WHOLE = ("orthogonal", "sparse")
GIGABYTES = (1, 4)


def cpu_of(work: Callable[[], object], times: int = 15) -> float:
    """Return the median CPU seconds of `work`."""
    work()
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def elements() -> Iterator[tuple[str, list[float]]]:
    """Yield each law with nanoseconds per element, in float32 and in bfloat16."""
    for name, law in LAWS.items():
        found = []
        for dtype in (torch.float32, torch.bfloat16):
            block, scratch = torch.ones(BLOCK, dtype=dtype), Scratch()

            def work(law: Law = law, block: torch.Tensor = block, scratch: Scratch = scratch) -> None:
                run_law(law, block, 0, 0, "w", scratch)

            found.append(cpu_of(work) / BLOCK * 1e9)
        yield name, found


def wholes() -> Iterator[tuple[str, float]]:
    """Yield nanoseconds per element of the functions that see a whole tensor, of [2048, 2048] float32."""
    for name in WHOLE:
        layer = nn.Linear(2048, 2048, bias=False)
        rule = paramtool.Rule(name, {"sparsity": 0.5} if name == "sparse" else {}, pattern=".")
        seconds = cpu_of(lambda layer=layer, rule=rule: paramtool.initialize(layer, [rule]), 3)  # type: ignore[misc]
        yield name, seconds / layer.weight.numel() * 1e9


def files(folder: Path) -> Iterator[tuple[str, float, float]]:
    """Yield what `init -o` of float32 shards takes: the rule, CPU seconds of each further GB, peak MiB."""
    for rule in (("--zeros",), ("--normal", "0.02")):
        costs = []
        for size in GIGABYTES:
            count = round(size * 1e9 / 4 / 8192)
            spec = folder / f"{size}.yaml"
            spec.write_text(f"model: {{Module: {{w: {{Parameter: [{count}, 8192]}}}}}}\n")
            out = str(folder / "out")
            arguments = (
                "init",
                str(spec),
                "-p",
                ".",
                *rule,
                "-o",
                out,
                "--max-shard-size",
                "500MB",
                "--force",
            )
            costs.append(Command([sys.executable, "-m", "paramtool", *arguments]).run())
        step = GIGABYTES[1] - GIGABYTES[0]
        yield " ".join(rule), (costs[1].cpu - costs[0].cpu) / step, costs[1].mebibytes


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    print(", ".join(f"{key} {value}" for key, value in machine().items()), time.strftime("%Y-%m-%d"), "\n")
    for name, nanoseconds in elements():
        print(f"{name:16}", *(f"{each:6.2f} ns" for each in nanoseconds))
    for name, each in wholes():
        print(f"{name:16} {each:6.1f} ns")
    print(f"{'a stream':16} {cpu_of(lambda: stream(0, 'w', 1), 101) * 1e6:6.1f} µs")
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds, peak in files(Path(folder)):
            print(f"init -o {name}: {seconds:.2f} s of CPU per GB, peak {peak:.0f} MiB")
    print(f"peak of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
