"""Commands in several processes that MODEL connects: the first one prints, and all end alike."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import paramtool

FACTORY = """\
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def sharded():
    dist.init_process_group("gloo")
    print("a factory may print")
    module = plain()
    return fully_shard(module, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))


def broken():
    module = sharded()
    if dist.get_rank() == 1:
        with torch.no_grad():
            module[0].weight.to_local()[0] = float("nan")
    return module
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_gradients_under_torchrun_are_printed_once() -> None:
    """Those of both processes together, with the numbers of a module that is not sharded."""
    inputs = torch.randn(5, 4)
    torch.save(inputs, "x.pt")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = ("-m", "paramtool", "grad", "net.py:sharded", "--input", "x.pt", "--loss", "square", "--json")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *launch, *command],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    plain = runpy.run_path("net.py")["plain"]()
    expected = paramtool.gradients(plain, [inputs], loss="square", by_use=False)
    assert [row["name"] for row in found["rows"]] == [row.name for row in expected.rows]
    for row, known in zip(found["rows"], expected.rows, strict=True):
        assert row["verdict"] == "ok"
        assert row["norm"] == pytest.approx(known.norm, rel=1e-5)
        assert row["abs_max"] == pytest.approx(known.abs_max, rel=1e-5)
    assert found["totals"]["uses"] is None


def test_a_gate_is_the_same_in_every_process() -> None:
    """The NaN that one process holds is an answer for both; one of them prints it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    command = ("check", "net.py:broken", "--finite", "--parameters", "51", "--report", "page.html")
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "paramtool", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**shared, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    (first, _), (other, said) = (each.communicate(timeout=200) for each in processes)
    assert [each.returncode for each in processes] == [1, 1], said
    assert "not 0.weight (4 NaN)" in first
    assert other == ""
    assert "a factory may print" in said
    assert Path("page.html").exists()


def test_a_factory_that_runs_twice_is_told_to_connect_once() -> None:
    """Its first run, on the meta device, fails after the group is there; the error of the second says so."""
    text = "def item():\n    dist.init_process_group('gloo')\n    float(torch.rand(1))\n    return plain()\n"
    Path("twice.py").write_text(f"{FACTORY}\n\n{text}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    one = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "1", "RANK": "0"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "paramtool", "inspect", "twice.py:item"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **one},
    )  # fmt: skip
    assert done.returncode == 2
    assert "its first run, on the meta device, failed: " in done.stderr
    assert "call init_process_group only if not torch.distributed.is_initialized()" in done.stderr


def test_diff_notes_once_whose_values_are_initial() -> None:
    """Two processes print one note, as the model has connected them by then."""
    torch.save(runpy.run_path("net.py")["plain"]().state_dict(), "w.pt")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = ("-m", "paramtool", "diff", "w.pt", "net.py:sharded", "--values")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *launch, *command],
        capture_output=True, text=True, timeout=200, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("note: the values of net.py:sharded are those") == 1
