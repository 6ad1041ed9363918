"""Blocks that are drawn part after part, and small tensors that are written together, hold the same bytes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from paramtool.elements.moments import Moments
from paramtool.elements.runs import moments_of_runs
from paramtool.initializers.functions import elementwise
from paramtool.initializers.functions.laws import Law
from paramtool.operations.initialization import stored_tensor, tensor_stream
from paramtool.operations.initialization.steps import run_law, runner
from paramtool.tensors import streams
from paramtool.tensors.fills import SMALLEST_PART, Fill, Fills, come_in_parts, filler, run_fills
from paramtool.tensors.scratch import Scratch
from tests.conftest import Run

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64]
COUNTS = [1, 15, 16, 17, 31, 32, 47, 63, 64, 65, 79, 80, 81, 200]


def in_parts(law: Law, dtype: torch.dtype, count: int, size: int) -> torch.Tensor:
    """Return `count` elements that `law` drew in parts of `size`."""
    whole = torch.empty(count, dtype=dtype)
    run = runner(law, 0, 0, "w", Scratch())
    start = 0
    while count - start >= size + SMALLEST_PART:
        run(whole[start : start + size], start)
        start += size
    run(whole[start:], start)
    return whole


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["normal", "uniform", "xavier_normal", "kaiming_uniform"])
def test_laws_that_come_in_parts_draw_the_same_numbers(name: str, dtype: torch.dtype) -> None:
    """Whatever the number of elements and the size of a part, every bit is that of one draw."""
    law: Law = getattr(elementwise, name)((7, 5))
    assert law.in_parts
    if dtype.is_complex and not law.complex:
        return
    for count in COUNTS:
        whole = torch.empty(count, dtype=dtype)
        run_law(law, whole, 0, 0, "w", Scratch())
        for size in (16, 32, 48):
            assert torch.equal(in_parts(law, dtype, count, size), whole), (count, size)


def test_a_large_part_is_drawn_as_in_the_block() -> None:
    """The size that is used: a block of which each part is as large as a core's cache takes."""
    law, count = elementwise.normal((1,), 0.0, 0.02), streams.BLOCK + 5
    whole = torch.empty(count)
    run_law(law, whole, 0, 0, "w", Scratch())
    assert torch.equal(in_parts(law, torch.float32, count, tensor_stream.PART), whole)


@pytest.mark.parametrize("method", ["uniform_", "normal_"])
def test_constructors_that_come_in_parts_fill_alike(method: str) -> None:
    """A draw, a scaling and a constant row, as an embedding has one."""
    steps = (
        Fill(method, (0.0, 2.0), {}, 0, 200), Fill("mul_", (3.0,), {}, 0, 200), Fill("zero_", (), {}, 30, 60)
    )  # fmt: skip
    fills = Fills("w", steps)
    assert come_in_parts(fills, 200)
    whole, parts = torch.empty(200), torch.empty(200)
    run_fills(fills, whole, 0, 0, Scratch())
    fill = filler(fills, 0, 0, Scratch())
    for start, stop in ((0, 48), (48, 96), (96, 200)):
        fill(parts[start:stop], start)
    assert torch.equal(whole, parts)


@pytest.mark.parametrize(
    "steps",
    [
        (Fill("normal_", (), {}, 0, 9), Fill("uniform_", (), {}, 0, 9)),
        (Fill("zero_", (), {}, 0, 9), Fill("normal_", (), {}, 3, 9)),
        (Fill("exponential_", (), {}, 0, 9),),
        (Fill("uniform_", (), {}, 0, 9), Fill("erfinv_", (), {}, 0, 9)),
    ],
)
def test_other_constructors_fill_whole_blocks(steps: tuple[Fill, ...]) -> None:
    """Two draws, one on a part, laws that torch draws otherwise, and functions that round by position."""
    assert not come_in_parts(Fills("w", steps), 9)


SPEC = """
model:
  Module:
    a: {Repeat: {times: 9, module: {Linear: [3, 2]}}}
    low: {Linear: {in_features: 3, out_features: 2, dtype: bfloat16}}
    b: {Repeat: {times: 3, module: {BatchNorm1d: 5}}}
    none: {Parameter: [0, 3]}
    large: {Linear: [40, 30]}
    odd: {Embedding: {num_embeddings: 9, embedding_dim: 7, padding_idx: 2}}
    c: {Linear: [3, 2]}
"""


@pytest.mark.parametrize("more", [(), ("--max-shard-size", "200B"), ("--jobs", "1")], ids=" ".join)
@pytest.mark.parametrize(("part", "small"), [(1 << 18, 1 << 14), (64, 20), (32, 0)])
def test_sizes_of_parts_change_no_byte(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, small: int, more: tuple[str, ...]
) -> None:
    """Files with digests, however the tensors are cut and gathered, over shards too."""
    (tmp_path / "m.yaml").write_text(SPEC)
    command = ["init", str(tmp_path / "m.yaml"), "-p", "weight", "--normal", "0.5", "--json"]
    expected = run(*command, "-o", str(tmp_path / "whole"))
    assert expected.status == 0, expected.stderr
    monkeypatch.setattr(tensor_stream, "PART", part)
    monkeypatch.setattr(stored_tensor, "SMALL", small)
    target = tmp_path / "out"
    done = run(*command, "-o", str(target), *more)
    assert done.status == 0, done.stderr
    files = sorted(target.glob("*.safetensors")) if target.is_dir() else [target]
    found = {name: tensor for each in files for name, tensor in load_file(each).items()}
    whole = load_file(tmp_path / "whole")
    assert found.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(found[name], tensor), name


ELEMENTS = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, -0.0, 1.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ELEMENTS, min_size=1, max_size=9), min_size=1, max_size=6))
def test_moments_of_runs_are_those_of_each(runs: list[list[float]]) -> None:
    """Mean, std, min and max of small tensors, taken together and one by one in float64."""
    flat = np.array([each for run in runs for each in run], np.float32)
    found = moments_of_runs(flat, [len(run) for run in runs])
    assert found is not None
    for run, mine in zip(runs, found, strict=True):
        moments = Moments()
        moments.take_wide(np.array(run, np.float32))
        expected = moments.result()
        scale = max(abs(expected["min"]), abs(expected["max"]))
        for key, value in mine.items():
            other = expected[key]
            assert (value is None) == (other is None)
            assert value is None or math.isclose(value, other, rel_tol=1e-7, abs_tol=1e-7 * scale)


def test_moments_of_runs_leave_what_is_not_finite() -> None:
    """NaN and infinity are counted tensor by tensor."""
    for odd in (math.nan, math.inf, -math.inf):
        assert moments_of_runs(np.array([1.0, 2.0, odd], np.float32), [1, 2]) is None
