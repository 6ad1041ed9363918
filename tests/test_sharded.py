"""A sharded module gets the bytes that one process would give it, on any mesh."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.conftest import ROOT

SIZES = (2, 4)


@cache
def found(size: int) -> list[dict[str, Any]]:
    """Return what each of `size` processes found."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", "tests.sharded_cases", folder, str(size)]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr[-3000:]
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(size)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["equal", "digests", "near"])
def test_it_is_what_one_process_gives(size: int, key: str) -> None:
    """FSDP2, tensor parallel, both, hybrid, and random placements: bytes, digests and moments."""
    for process in found(size):
        assert [name for name, each in process["cases"].items() if not each[key]] == []
        assert len(process["cases"]) >= 43


@pytest.mark.parametrize("size", SIZES)
def test_every_process_reports_the_same(size: int) -> None:
    """To the bit: a gate in one process is a gate in all."""
    first, *others = found(size)
    for other in others:
        assert other["cases"] == first["cases"]


@pytest.mark.parametrize("size", SIZES)
def test_complaints_come_first_and_everywhere(size: int) -> None:
    """What cannot be filled is refused in a line in every process, before anything is written."""
    for rank, process in enumerate(found(size)):
        said = process["refused"]
        assert "it is sharded, and torch's own draws depend on how" in said["torch"]
        assert "it is a partial sum on each process; redistribute it first" in said["partial"]
        assert said["one"].startswith("process 0: " if rank else "normal(std=-1.0)"), said["one"]
