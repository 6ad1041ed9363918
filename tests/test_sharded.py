"""A sharded module gets the bytes that one process would give it, on any mesh."""

from __future__ import annotations

import pytest
import torch

from paramtool.tensors import sharded_statistics
from paramtool.tensors.sharding import HeldPart
from tests.sharded_processes import SIZES, found


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


def test_memory_that_nobody_filled_is_measured_without_a_warning() -> None:
    """`to_empty` leaves any bits, and some are a NaN that signals."""
    local = torch.tensor([0x7F800001, 0], dtype=torch.int32).view(torch.float32)
    part = HeldPart(local, (2,), (torch.arange(2),), None)
    assert sum(sharded_statistics._counts(part, -1.0, 1.0)) == 1
