"""One policy for what is not there: a selection that finds nothing is 2, a rule that does so is 1."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import paramtool
from paramtool.errors import NothingMatched, RuleMatchedNothing
from tests.conftest import Run

SPEC = """\
model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}
input: {shape: [2, 4], fill: ones}
expect: {parameters: 19}
"""
OPTIONS = ("--pattern zzz", "--name zzz", "--module zzz", "--type Zzz", "--strip-prefix zzz")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a spec, and two checkpoints that differ."""
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(SPEC)
    for name in ("a", "b"):
        torch.save(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)).state_dict(), f"{name}.pt")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize(
    "command",
    [
        "inspect a.pt", "inspect model.yaml", "shared a.pt", "shared model.yaml", "diff a.pt b.pt",
        "diff a.pt b.pt --values", "check a.pt --finite", "grad model.yaml",
    ],
)  # fmt: skip
def test_a_selection_that_finds_nothing_is_no_answer(command: str, option: str, run: Run) -> None:
    """Status 1 is for the answer of the command; what is typed wrong is 2, whatever is compared."""
    if command.startswith("grad") and option.split(maxsplit=1)[0] in ("--pattern", "--type"):
        return  # the selector of a rule
    result = run(*command.split(), *option.split())
    assert (result.status, result.stdout) == (2, ""), result.stderr
    assert "error: " in result.stderr


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("command", ["init model.yaml {} --zeros", "grad model.yaml {} --zeros"])
def test_a_rule_that_finds_nothing_is_a_no(command: str, option: str, run: Run) -> None:
    """A rule that matches nothing is status 1; a prefix of weights is not one."""
    if option.startswith("--strip"):
        return
    result = run(*command.format(option).split())
    assert (result.status, result.stdout) == (1, ""), result.stderr


@pytest.mark.parametrize("option", [each for each in OPTIONS if not each.startswith("--type")])
def test_a_rule_of_a_conversion_is_one_too(option: str, run: Run) -> None:
    """All that `convert` does to names are rules, which run in the order typed."""
    assert run("convert", "a.pt", "-o", "c.safetensors", *option.split()).status == 1
    assert not Path("c.safetensors").exists()


def test_python_users_catch_both() -> None:
    """An error of a rule is also one of a selection that finds nothing."""
    assert issubclass(RuleMatchedNothing, NothingMatched)
    assert (NothingMatched.status, RuleMatchedNothing.status) == (2, 1)
    with pytest.raises(paramtool.RuleMatchedNothing, match="matches no parameter"):
        paramtool.initialize("model.yaml", [paramtool.Rule("zeros", {}, pattern="zzz")])
