"""A sharded module gets the bytes that one process would give it, on any mesh."""

from __future__ import annotations

import warnings

import pytest
import torch

from paramtool.tensors.sharded_statistics import _counts
from paramtool.tensors.sharding import arrived, held_part
from tests.sharded_processes import ODD_SIZES, SIZES, found

ALL_SIZES = (*SIZES, *(pytest.param(each, marks=pytest.mark.slow) for each in ODD_SIZES))


@pytest.mark.parametrize("size", ALL_SIZES)
@pytest.mark.parametrize("key", ["equal", "digests", "near"])
def test_it_is_what_one_process_gives(size: int, key: str) -> None:
    """FSDP2, tensor parallel, both, hybrid, and random placements: bytes, digests and moments."""
    for process in found(size):
        assert [name for name, each in process["cases"].items() if not each[key]] == []
        assert len(process["cases"]) >= 43


@pytest.mark.parametrize("size", ALL_SIZES)
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


def test_a_nan_that_signals_is_counted_without_a_warning() -> None:
    """Memory that nobody has filled may hold such bits."""
    bits = torch.tensor([0x7FA00000, 0x3F800000], dtype=torch.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(_counts(held_part(bits.view(torch.float32)), 0.0, 1.0)) == 1


def test_a_tensor_on_its_way_is_printed_as_any_other() -> None:
    """Tensor parallelism may return one, which torch prints within its class."""
    collectives = pytest.importorskip("torch.distributed._functional_collectives")
    sent = collectives.AsyncCollectiveTensor(torch.ones(2))
    sent.completed = True
    assert str(arrived(sent)) == "tensor([1., 1.])"
