"""--name selects exactly, --module a subtree; a pattern that spells out one name of several is noted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from paramtool.patterns import also_matched
from tests.conftest import Run

SPEC = """\
define: {Layer: {Linear: [2, 2]}}
model:
  Sequential: [Layer, ReLU, ReLU, ReLU, ReLU, ReLU, ReLU, ReLU, ReLU, ReLU, Layer, {Module: {10: Layer}}]
"""
NOTE = "note: --pattern 0.weight also matches 10.weight and 1 more; --name 0.weight selects that one alone\n"


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "m.yaml"
    path.write_text(SPEC)
    return str(path)


def names(run: Run, *arguments: str) -> list[str]:
    """Return the names in the rows of a command, which has nothing to note but that it saves nothing."""
    result = run(*arguments, "--json")
    assert result.status in {0, 1}
    assert result.stderr.removeprefix("note: nothing was saved; -o FILE.safetensors saves the values\n") == ""
    return [row["name"] for row in json.loads(result.stdout)["rows"]]


def test_a_pattern_that_is_a_whole_name_is_noted(run: Run, spec: str, tmp_path: Path) -> None:
    """Searching for 0.weight finds 10.weight too, in every command that selects."""
    out = str(tmp_path / "w.safetensors")
    typed = ["--pattern", "0.weight", "--ones"]
    for command in (
        ["inspect", spec, "-p", "0.weight"], ["shared", spec, "-p", "0.weight"],
        ["diff", spec, spec, "-p", "0.weight"], ["init", spec, *typed], ["init", spec, *typed, "--dry-run"],
        ["init", spec, *typed, "-o", out], ["grad", spec, *typed, "--input", "1,2"],
    ):  # fmt: skip
        assert NOTE in run(*command).stderr, command
    for pattern in (r"^0\.weight$", "weight", "0.weigh", r"^0\.weight"):
        assert run("inspect", spec, "-p", pattern).stderr == ""
    assert r"--pattern 0\.weight also matches" in run("inspect", spec, "-p", r"0\.weight").stderr


def test_a_name_is_exact_and_a_module_is_a_subtree(run: Run, spec: str) -> None:
    """10 is a module, and so is 11.10; a name that is a part of another is not that one."""
    assert names(run, "inspect", spec, "--name", "0.weight") == ["0.weight"]
    assert names(run, "inspect", spec, "--name", "0.weight", "--name", "10.bias") == ["0.weight", "10.bias"]
    assert names(run, "init", spec, "--name", "0.weight", "--ones") == ["0.weight"]
    assert names(run, "init", spec, "-m", "10", "--ones") == ["10.weight", "10.bias"]
    assert names(run, "init", spec, "--module=11", "-p", "bias", "--ones") == ["11.10.bias"]
    other = spec.replace("m.yaml", "other.yaml")
    Path(other).write_text(SPEC.replace("Linear: [2, 2]", "Linear: [3, 3]"))
    assert names(run, "diff", spec, other, "--module", "10") == ["10.weight", "10.bias"]
    assert names(run, "diff", spec, other, "--name", "0.weight") == ["0.weight"]


def test_shared_groups_are_selected_exactly(run: Run, tmp_path: Path) -> None:
    """A group is kept if it has the name, or a name in the module."""
    path = tmp_path / "tied.yaml"
    path.write_text("model: {Sequential: [&a {Linear: [2, 2]}, *a, &b {Linear: [3, 3]}, *b]}\n")
    assert names(run, "shared", str(path), "--module", "3") == ["2.weight", "3.weight", "2.bias", "3.bias"]
    assert names(run, "shared", str(path), "--name", "1.bias") == ["0.bias", "1.bias"]


def test_rules_of_a_spec_select_exactly(run: Run, spec: str, tmp_path: Path) -> None:
    """`name` and `module` are keys of a rule, in a spec and in a recipe."""
    Path(spec).write_text(SPEC + 'init: [{name: 0.weight, zeros: }, {module: "11.10", constant: 3}]\n')
    assert run("init", spec, "-o", str(tmp_path / "w.safetensors")).status == 0
    found = safetensors.torch.load_file(tmp_path / "w.safetensors")
    assert torch.equal(found["0.weight"], torch.zeros(2, 2))
    assert found["10.weight"].abs().sum() > 0
    assert torch.equal(found["11.10.bias"], torch.full((2,), 3.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "--name", "0.bais"], "no parameter matches the selection; did you mean '0.bias'?"),
        (["init", "--name", "0.bais", "--ones"], "--name 0.bais matches no parameter; did you mean '0.bias'"),
        (["shared", "--module", "12"], "no module '12'; there are 0, 10, 11, 11.10"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_answered_with_what_is(
    run: Run, spec: str, arguments: list[str], message: str
) -> None:
    """The nearest name or module is named: exit status 1 for a rule, 2 where nothing is selected."""
    result = run(arguments[0], spec, *arguments[1:])
    status = 1 if arguments[0] == "init" else 2
    assert (result.status, message in result.stderr) == (status, True), result.stderr


def test_an_anchored_pattern_spells_out_no_name() -> None:
    """Only a name as it is, or with its dots escaped, is taken for one."""
    known = ["0.weight", "10.weight", "0xweight"]
    assert also_matched("0.weight", known) == ("0.weight", ["10.weight", "0xweight"])
    assert also_matched(r"0\.weight", known) == ("0.weight", ["10.weight"])
    assert also_matched(r"\b0\.weight", known) is None
    assert also_matched("weight", known) is None
