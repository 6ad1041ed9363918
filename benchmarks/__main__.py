"""Print a row for each comparison, with its goal; a machine's noise decides no build."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.checkpoints import LEGACY, LOAD, METADATA, RANKS
from benchmarks.measure import compare, run
from benchmarks.transformer import BY_HAND, RULES, RUN_BY_HAND, RUNNABLE, SPEC
from paramtool.files.writing.weights import Entry, WeightsWriter

PARAMTOOL = str(Path(sys.executable).with_name("paramtool"))
IMPORT_TORCH = (sys.executable, "-W", "ignore", "-c", "import torch")
ROOT = Path(__file__).parent.parent

TENSORS = """
import torch
torch.manual_seed(0)
tensors = [torch.rand(1 << 20).repeat(4) for _ in range(30)]
"""
REDUCTIONS = (
    TENSORS
    + """
for w in tensors:
    print(w.mean(), w.std(), w.min(), w.max(), w.norm(), (w == 0).sum(), w.isnan().sum())
"""
)
STATISTICS = (
    TENSORS
    + """
from paramtool.tensors.statistics import statistics
for w in tensors:
    print(statistics(w))
"""
)


SEVEN = """
import sys
from safetensors.torch import load_file
for name, w in load_file(sys.argv[1]).items():
    print(name, w.mean(), w.std(), w.min(), w.max(), w.norm(), (w == 0).sum(), w.isnan().sum())
"""


CAST = """
import sys, torch
from safetensors.torch import load_file, save_file
cast = {name: w.to(torch.bfloat16) for name, w in load_file(sys.argv[1]).items()}
save_file(cast, sys.argv[2], metadata={"format": "pt"})
"""


@dataclass(frozen=True)
class Row:
    """One comparison; a goal of None is not set.

    Attributes:
        before: makes what both of them read.
        makes: the file that both of them write.
    """

    work: str
    against: str
    ours: Sequence[str]
    other: Sequence[str]
    time_goal: float | None = None
    memory_goal: float | None = None
    before: Sequence[str] | None = None
    makes: Path | None = None


def rows(folder: Path) -> list[Row]:
    """Return the comparisons; what they read is written to `folder`."""
    small, large = folder / "small.yaml", folder / "large.yaml"
    for path, times in ((small, 10_000), (large, 100_000)):
        path.write_text(f"model: {{Repeat: {{times: {times}, module: {{Linear: [4, 3]}}}}}}\n")
    disk = Path("/dev/shm") if Path("/dev/shm").is_dir() else folder
    spec, by_hand = folder / "transformer.yaml", folder / "by_hand.py"
    spec.write_text(SPEC)
    by_hand.write_text(BY_HAND)
    runnable = folder / "runnable.yaml"
    runnable.write_text(RUNNABLE)
    thousand = folder / "thousand.safetensors"
    write_thousand(thousand)
    legacy, ranks = folder / "legacy.pth", folder / "ranks"
    made = disk / "paramtool-benchmark.safetensors"
    ours = (PARAMTOOL, "init", str(spec), *RULES, "-o", str(made))
    converted = disk / "paramtool-converted.safetensors"
    llama = str(ROOT / "configs" / "llama3_70b.yaml")
    python = (sys.executable, "-W", "ignore", "-c")
    return [
        Row("--help", "import torch", (PARAMTOOL, "--help"), IMPORT_TORCH, 0.15),
        Row("schema", "import torch", (PARAMTOOL, "schema"), IMPORT_TORCH, 0.15),
        Row(
            "inspect mlp",
            "import torch",
            (PARAMTOOL, "inspect", str(ROOT / "configs/mlp.yaml")),
            IMPORT_TORCH,
        ),
        Row(
            "inspect of a 1,000-tensor safetensors file",
            "import torch",
            (PARAMTOOL, "inspect", str(thousand)),
            IMPORT_TORCH,
            0.25,
        ),
        Row(
            "inspect of a 90 MB file from before torch 1.6",
            "torch.load, names and shapes",
            (PARAMTOOL, "inspect", str(legacy)),
            (*python, LOAD, str(legacy)),
            0.30,
            0.20,
            before=(*python, LEGACY, str(legacy)),
        ),
        Row(
            "inspect of 1,000 tensors by 8 ranks (DCP)",
            "read_metadata, names and shapes",
            (PARAMTOOL, "inspect", str(ranks)),
            (*python, METADATA, str(ranks)),
            0.50,
            0.30,
            before=(*python, RANKS, str(ranks)),
        ),
        Row("inspect llama3_70b", "import torch", (PARAMTOOL, "inspect", llama), IMPORT_TORCH, 1.10, 1.15),
        Row(
            "init -o of 354 M float32 parameters",
            "build, loop, save_file",
            ours,
            (sys.executable, "-W", "ignore", str(by_hand), str(made)),
            0.33,
            0.18,
            makes=made,
        ),
        Row(
            "inspect --stats of 354 M float32 parameters",
            "load_file, seven reductions",
            (PARAMTOOL, "inspect", str(made), "--stats"),
            (*python, SEVEN, str(made)),
            0.35,
            0.25,
            before=ours,
        ),
        Row(
            "convert of 354 M parameters to bfloat16",
            "load_file, cast, save_file",
            (PARAMTOOL, "convert", str(made), "-o", str(converted), "--dtype", "bfloat16"),
            (*python, CAST, str(made), str(converted)),
            0.50,
            0.10,
            before=ours,
            makes=converted,
        ),
        *(
            Row(
                f"grad of 124 M parameters{' --by-use' if split else ''}",
                "forward and backward by hand",
                (PARAMTOOL, "grad", str(runnable), *(("--by-use",) if split else ("--no-by-use",))),
                (*python, RUN_BY_HAND),
                1.3 if split else 1.1,
            )
            for split in (False, True)
        ),
        Row(
            "statistics of 126 M elements, with making them",
            "seven torch reductions a tensor",
            (*python, STATISTICS),
            (*python, REDUCTIONS),
        ),
        Row(
            "inspect --format jsonl of 200,000 parameters",
            "itself on 20,000",
            (PARAMTOOL, "inspect", str(large), "--format", "jsonl"),
            (PARAMTOOL, "inspect", str(small), "--format", "jsonl"),
            11,
        ),
    ]


def write_thousand(path: Path) -> None:
    """Write a safetensors file of 1,000 small matrices under the names of a deep model."""
    names = [f"model.layers.{block}.part{part}.weight" for block in range(100) for part in range(10)]
    with WeightsWriter(path, [Entry(name, "float32", (16, 16)) for name in names]) as writer:
        for name in names:
            writer.write(name, 0, bytes(1024))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs of each comparison")
    parser.add_argument("--only", default="", help="run the comparisons with this in their name")
    options = parser.parse_args()
    print(f"{'work':50} {'against':32} {'time':>6} {'goal':>5} {'memory':>7} {'goal':>5} {'ours':>16}")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder)):
            if options.only not in row.work:
                continue
            try:
                if row.before is not None:
                    run(row.before)
                ratio = compare(row.ours, row.other, options.pairs, row.makes)
            finally:
                for each in Path("/dev/shm").glob("paramtool-*.safetensors"):
                    each.unlink()
            ours = f"{ratio.ours.seconds:.2f} s {ratio.ours.mebibytes:,.0f} MiB"
            print(
                f"{row.work:50} {row.against:32} {ratio.time:6.2f} {row.time_goal or '':>5}"
                f" {ratio.memory:7.2f} {row.memory_goal or '':>5} {ours:>16}",
                flush=True,
            )


if __name__ == "__main__":
    main()
