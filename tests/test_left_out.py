"""Statistics are of the finite elements, and whatever shows them says so where there are others."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import paramtool
from paramtool import Rule
from tests.conftest import Run

SAID = "statistics leave out 2 NaNs and 1 infinity"


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """Return a checkpoint with two elements that are NaN, an infinite one, and a tensor without any."""
    path = tmp_path / "odd.pt"
    torch.save({"a": torch.tensor([1.0, math.nan, -math.inf, math.nan]), "b": torch.ones(2)}, path)
    return str(path)


@pytest.mark.parametrize(
    "options",
    [["--stats"], ["--stats", "--format", "tree"], ["--columns", "name,mean"], ["--stats", "--depth", "1"]],
    ids=" ".join,
)
def test_a_listing_says_what_its_statistics_leave_out(run: Run, odd: str, options: list[str]) -> None:
    assert SAID in run("inspect", odd, *options).stdout


def test_there_is_nothing_to_say_of_finite_elements(run: Run, odd: str) -> None:
    assert "leave out" not in run("inspect", odd, "--stats", "--pattern", "b").stdout
    assert "leave out" not in run("inspect", odd).stdout


def test_help_says_what_statistics_are_of(run: Run) -> None:
    assert "of the finite elements" in run("inspect", "--help").stdout


def test_an_initialization_says_so_too(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight[0, 0] = math.nan
    rules = [Rule("mul", {"value": 2.0}, pattern="weight")]
    assert paramtool.initialize(model, rules).rows[0].note == "statistics leave out 1 NaN"
    saved = paramtool.initialize(model, rules, output=tmp_path / "x.safetensors")
    assert saved.rows[0].note == "statistics leave out 1 NaN"
