"""How deep modules may nest: as deep as torch itself goes, and a clear refusal beyond."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from paramtool.errors import ParamtoolError
from paramtool.network.nesting import MAX_LEVELS, check_nesting
from paramtool.operations.gradients.backpropagation import gradients
from tests.conftest import Run


def nested(levels: int) -> nn.Module:
    module: nn.Module = nn.Linear(2, 2)
    for _ in range(levels - 1):
        module = nn.Sequential(module)
    return module


CODE = """
from torch import nn

def nested(levels):
    module = nn.Linear(2, 2)
    for _ in range(levels - 1):
        module = nn.Sequential(module)
    return module

class Ring(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 2))
        self.inner.parent = self
"""


@pytest.mark.parametrize("levels", [400, MAX_LEVELS])
def test_a_deep_model_runs_where_plain_python_would_end(levels: int) -> None:
    """Python's limit gives way for the pass, and is as before afterwards."""
    limit = sys.getrecursionlimit()
    report = gradients(nested(levels), [torch.ones(1, 2)])
    assert [row.norm for row in report.rows] == [2.0, pytest.approx(2**0.5)]
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("command", [("inspect",), ("shared",), ("grad", "-i", "1,2")])
def test_every_command_goes_as_deep_and_no_deeper(
    command: tuple[str, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit, and where it is crossed, are told; a ring of modules has no end and is told as well."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"deep_{command[0]}.py").write_text(CODE)
    name, *options = command
    model = f"deep_{name}:nested"
    assert run(name, model, "--arg", f"levels={MAX_LEVELS}", *options).status == 0
    result = run(name, model, "--arg", f"levels={MAX_LEVELS + 1}", *options)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("error: modules nested deeper than 900 levels, at '0.0.0.0.")
    result = run(name, f"deep_{name}:Ring", *options)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith("error: 'inner.parent' is a module that contains itself; ")


def test_levels_are_those_of_the_longest_way() -> None:
    """A module in two places counts where it is deepest, and is gone through once."""
    shared = nested(3)
    assert check_nesting(nn.Sequential(shared, nn.Sequential(nn.Sequential(shared)))) == 6
    doubled: nn.Module = nn.Linear(1, 1)
    for _ in range(200):  # 2^200 names
        doubled = nn.Sequential(doubled, doubled)
    assert check_nesting(doubled) == 201
    with pytest.raises(ParamtoolError, match="deeper than 900 levels"):
        check_nesting(nn.Sequential(shared, nn.Sequential(*[nested(MAX_LEVELS - 1)])))


def test_a_forward_that_calls_itself_is_told() -> None:
    """There is room for every level, so that a forward without an end is to blame."""

    class Endless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(1, 1)

        def forward(self, x: Tensor) -> Any:
            return self(x)

    with pytest.raises(ParamtoolError, match=r"maximum recursion depth.*its forward calls itself"):
        gradients(Endless(), [torch.ones(1, 1)])
