"""What is asked about a sharded module is answered as one process does, in every process alike."""

from __future__ import annotations

import json

import pytest

from tests.sharded_processes import SIZES, found


@pytest.mark.parametrize("size", SIZES)
def test_an_answer_is_that_of_one_process(size: int) -> None:
    """Listings, statistics, sharing, differences and expectations, on meshes of many kinds."""
    answers = found(size)[0]["answers"]
    wrong = {name: each["given"] for name, each in answers.items() if not each["same"]}
    assert wrong == {}
    assert len(answers) >= 60


@pytest.mark.parametrize("size", SIZES)
def test_every_process_answers_the_same(size: int) -> None:
    """To the bit: a gate in one process is a gate in all."""
    first, *others = found(size)
    for other in others:
        for kind in ("answers", "gradients"):
            assert json.dumps(other[kind]) == json.dumps(first[kind])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", ["rows", "before", "stored", "again"])
def test_gradients_are_those_of_one_process(size: int, key: str) -> None:
    """Up to the rounding of torch's own sums; the module is as it was, and runs and saves as before."""
    for process in found(size):
        assert [name for name, each in process["gradients"].items() if not each[key]] == []


@pytest.mark.parametrize("size", SIZES)
def test_complaints_are_raised_everywhere(size: int) -> None:
    """Also if one process alone has a reason: none waits for it."""
    for rank, process in enumerate(found(size)):
        said = process["unanswered"]
        for name in ("partial", "partial values"):
            assert "'p' is a partial sum on each process; redistribute it first" in said[name]
        assert "not split by use; use by_use=False" in said["by use"]
        assert "leave out layers=True" in said["layers"]
        assert "Sequential is sharded, and each process runs a part of it" in said["cost"]
        assert "'b.bias' has a gradient in process 0 and none in process 1" in said["reached"]
        assert "is on the meta device and has no values" in said["meta"]
        assert "fails on [1, 5]" in said["forward"]
        assert said["forward, then"] == "ok"
        assert said["other modules"].startswith(
            "'1.weight' is missing in process 0 and [6, 6] float32 in process 1;"
        )
        assert said["other layout"].startswith(
            "'0.weight' is [6, 6] float32 in process 0 and [8, 6] float32 in"
        )
        for name in ("file", "reference"):
            assert said[name].startswith("process 1: cannot read" if rank == 0 else "cannot read"), said[name]
        for name in ("freed", "freed values"):
            assert "'0.weight' has no values: its memory was freed" in said[name]
        assert said["own buffer"] == "0.0"  # as process 0 holds it
        assert "its processes are not connected" in said["not connected"]
