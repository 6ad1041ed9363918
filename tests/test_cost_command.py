"""The options of ``inspect --cost``, and what is said where it cannot answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run

MLP = "configs/mlp.yaml"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cost", "--stats"), "--cost is about modules, so --stats has no effect"),
        (("--cost", "--buffers"), "--cost is about modules, so --buffers has no effect"),
        (("--cost", "--total"), "--cost is about modules, so --total has no effect"),
        (("--optimizer", "sgd"), "--optimizer requires --cost"),
        (("--dtype", "bfloat16"), "--dtype requires --cost"),
        (("--cost", "--optimizer", "sgdm"), "unknown optimizer 'sgdm'; did you mean 'sgd'?"),
        (
            ("--cost", "--sort", "mac"),
            "cannot sort by 'mac'; type: paramtool inspect configs/mlp.yaml --cost --sort macs",
        ),
        (("--cost", "--module", "9"), "no module '9'; there are 0, 1, 2"),
        (
            ("--cost", "--type", "Conv2d"),
            "no module matches the selection; the classes are Linear, ReLU, Sequential",
        ),
        ((MLP, "--cost"), "--cost is for one MODEL, got 2; several MODELs show only totals"),
    ],
)
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], message: str, run: Run) -> None:
    """One line, before anything runs."""
    result = run("inspect", MLP, *options)
    assert (result.status, result.stdout, result.stderr) in (
        (2, "", f"error: {message}\n"), (1, "", f"error: {message}\n"),
    )  # fmt: skip


def test_a_model_without_input_or_forward_says_so(run: Run, tmp_path: Path) -> None:
    """With what to type."""
    path = tmp_path / "model.yaml"
    path.write_text("model: {Linear: [4, 3]}")
    result = run("inspect", str(path), "--cost")
    assert result.status == 2
    assert "has no input to run on; 'input: {shape: [2, 4]}' in the spec, or --input 2,4" in result.stderr
    result = run("inspect", "configs/gpt2.yaml", "--cost", "--input", "1,8,randint=9")
    assert result.status == 2
    assert "has no forward" in result.stderr


def test_a_wrong_input_points_at_the_module(run: Run) -> None:
    """The line of the spec, and the shapes that do not fit."""
    result = run("inspect", MLP, "--cost", "--input", "2,5")
    assert result.status == 2
    assert result.stderr.startswith(
        f"{MLP}:4:7: error: '0' (Linear) with weight [3, 4], bias [3] fails on [2, 5]"
    )


def test_an_input_comes_from_a_file_or_takes_no_memory(run: Run, tmp_path: Path) -> None:
    """Of a file the shape counts; of 1.6 TB nothing is made."""
    np.savez(tmp_path / "batch.npz", np.ones((7, 4), "float32"))
    found = json.loads(run("inspect", MLP, "--cost", "--input", str(tmp_path / "batch.npz"), "--json").stdout)
    assert found["totals"]["inputs"] == [{"name": "input", "shape": [7, 4], "dtype": "float32"}]
    found = json.loads(run("inspect", MLP, "--cost", "--input", "100000000000,4", "--json").stdout)
    assert found["totals"]["macs"] == 15 * 10**11


def test_seventy_billion_parameters_take_no_memory(run: Run, tmp_path: Path) -> None:
    """Neither they, their gradients, nor the states of an optimizer are made."""
    path = tmp_path / "model.yaml"
    path.write_text(
        "dtype: bfloat16\nmodel: {Linear: {in_features: 200000, out_features: 350000, bias: false}}"
    )
    totals = json.loads(run("inspect", str(path), "--cost", "--input", "3,200000", "--json").stdout)["totals"]
    assert (totals["device"], totals["parameters"], totals["macs"]) == ("meta", 7 * 10**10, 21 * 10**10)
    assert totals["training"][0]["total"] == 4 * 140 * 10**9 + 4 + 3 * 200000 * 2


def test_rows_are_chosen_and_the_totals_stay(run: Run) -> None:
    """What the lines come to is said beside the whole."""
    text = run("inspect", MLP, "--cost", "--pattern", "0|1").stdout
    assert "these lines: 24 MACs" in text
    assert "30 MACs from [2, 4] float32" in text
    rows = run("inspect", MLP, "--cost", "--format", "csv", "--columns", "name,macs", "--top", "1").stdout
    assert rows == "name,macs\n0,24\n"


def test_several_optimizers_have_a_line_each(run: Run) -> None:
    """In the order in which they were typed."""
    text = run("inspect", MLP, "--cost", "--optimizer", "sgd_momentum", "--optimizer", "nadam").stdout
    lines = [line.split(":")[0].strip() for line in text.splitlines() if "training" in line]
    assert lines == ["training with sgd_momentum", "training with nadam"]
