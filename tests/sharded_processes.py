"""Processes that hold models together: they are started once for all tests of them.

Run as ``python -m tests.sharded_processes FOLDER SIZE``: each of SIZE processes writes what it found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from paramtool.tensors import streams
from tests import sharded_answers, sharded_cases, sharded_gradients, sharded_refusals
from tests.conftest import ROOT

SIZES = (2, 4)
ODD_SIZES = (1, 3)
"""In which only initialization is tried: torch's own tensor parallelism does not run on uneven parts."""

BLOCK = 64
"""Elements of a block of a stream there, so that small tensors have many."""


@cache
def found(size: int) -> list[dict[str, Any]]:
    """Return what each of `size` processes found."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", "tests.sharded_processes", folder, str(size)]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(size)]


def process(rank: int, folder: str, size: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    streams.BLOCK = BLOCK
    cases = {name: sharded_cases.compared(case) for name, case in sharded_cases.cases(size)}
    result: dict[str, Any] = {"cases": cases}
    if size in SIZES:
        result |= {
            "refused": sharded_cases.refused(size),
            "answers": sharded_answers.answers(folder, size),
            "gradients": sharded_gradients.gradients(size),
            "unanswered": sharded_refusals.refused(folder, size),  # the last, which ends the group
        }
    (Path(folder) / f"{rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn(process, (sys.argv[1], int(sys.argv[2])), int(sys.argv[2]))  # type: ignore[no-untyped-call]
