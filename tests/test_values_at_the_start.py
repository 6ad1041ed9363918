"""`check` and `diff` of a spec: its values are those of ``--weights``, else what `init` would leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.conftest import Run

SPEC = """\
model: {Sequential: [{Linear: [4, 3]}, ReLU, {Linear: [3, 1]}]}
init: [{pattern: weight, normal: 0.01}, {pattern: bias, zeros: }]
input: {shape: [2, 4], fill: rand}
"""
UNFIT = [
    "error: unfit.pt lacks '0.bias' [3]",
    "error: unfit.pt lacks '2.bias' [1]",
    "error: unfit.pt lacks '2.weight' [1, 3]",
    "error: unfit.pt has 'x' [1], which the model does not have",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, weights for it, and weights for something else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    (tmp_path / "model.yaml").write_text(SPEC)
    torch.save(weights(), "good.pt")
    torch.save(weights(nan=True), "nan.pt")
    torch.save({"0.weight": torch.zeros(3, 4), "x": torch.zeros(1)}, "unfit.pt")
    return tmp_path


def weights(*, nan: bool = False) -> dict[str, Tensor]:
    """Return values for the spec, in another dtype than it has; with one that is NaN if that is asked for."""
    shapes = {"0.weight": (3, 4), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)}
    tensors = {name: torch.full(shape, 0.5, dtype=torch.bfloat16) for name, shape in shapes.items()}
    if nan:
        tensors["0.bias"][1] = torch.nan
    return tensors


def changes(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a difference of values, by name."""
    result = run("diff", *arguments, "--values", "--json")
    assert result.status in {0, 1}, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)["rows"]}


def test_a_spec_with_its_weights_is_held_to_what_is_expected(run: Run) -> None:
    """What is loaded is looked at and not what rules would fill; each note is told once."""
    assert run("check", "--finite").status == 0
    assert run("check", "model.yaml", "--finite", "-w", "good.pt").status == 0
    result = run("check", "model.yaml", "--finite", "--parameters", "19", "--weights", "nan.pt")
    assert result.status == 1
    assert "3 of 4 finite; not 0.bias (1 NaN)" in result.stdout
    assert result.stderr.splitlines() == [
        "note: 4 tensors are bfloat16 in nan.pt and float32 in the model",
        "note: 0.bias of nan.pt has NaN or infinities",
    ]


def test_the_pass_runs_at_the_weights(run: Run) -> None:
    """Whether gradients are reached is seen at what was loaded, also where that is NaN."""
    result = run("check", "model.yaml", "--gradients", "reach-all", "--finite", "-w", "nan.pt", "--json")
    assert {row["name"]: row["holds"] for row in json.loads(result.stdout)["rows"]} == {
        "finite": False,
        "gradients": True,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["check", "model.yaml", "--parameters", "19"], id="an expectation of the structure"),
        pytest.param(["check", "model.yaml", "--finite"], id="an expectation of the values"),
        pytest.param(["check", "model.yaml", "--allow-none"], id="no expectation"),
        pytest.param(["diff", "model.yaml", "model.yaml", "--values"], id="both are specs"),
        pytest.param(["diff", "good.pt", "model.yaml", "--values"], id="B is a spec"),
        pytest.param(["diff", "model.yaml", "good.pt", "--values"], id="A is a spec"),
    ],
)
def test_weights_that_do_not_fit_are_told_whole_before_anything_else(run: Run, arguments: list[str]) -> None:
    """Loading is strict, whatever is asked of the model: every complaint, no result, status 2."""
    result = run(*arguments, "--weights", "unfit.pt")
    assert (result.status, result.stdout) == (2, "")
    assert [line for line in result.stderr.splitlines() if "error" in line] == UNFIT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["check", "good.pt", "--finite"],
            "--weights loads into a spec or package.module:object; good.pt is",
        ),
        (["diff", "nan.pt", "good.pt", "--values"], "neither nan.pt nor good.pt is one"),
        (["diff", "model.yaml", "good.pt"], "--weights requires --values"),
    ],
)
def test_weights_that_nothing_would_take_are_refused(run: Run, arguments: list[str], said: str) -> None:
    """A file that tells what a module has takes no weights, and without --values none are compared."""
    result = run(*arguments, "-w", "good.pt")
    assert (result.status, result.stdout) == (2, "")
    assert said in result.stderr


def test_values_of_a_spec_are_those_that_init_would_write(run: Run) -> None:
    """A file of `init -o` does not differ from its spec with rules, from either side."""
    assert run("init", "-o", "init.safetensors").status == 0
    assert changes(run, "model.yaml", "init.safetensors") == {}
    assert changes(run, "init.safetensors", "model.yaml") == {}
    assert set(changes(run, "init.safetensors", "model.yaml", "--set", "seed=1")) == {"0.weight", "2.weight"}


def test_rules_that_are_changed_change_the_values(run: Run) -> None:
    """What B's rules leave is compared with what A's leave: here twice as much, and zeros as before."""
    found = changes(run, "model.yaml", "model.yaml", "--set", "init.0.normal=0.02")
    assert set(found) == {"0.weight", "2.weight"}
    assert all(row["relative_rms"] == pytest.approx(1, rel=1e-6) for row in found.values())


def test_weights_go_into_b_else_into_a(run: Run) -> None:
    """A spec against itself with weights shows what these change; a file against itself in a spec, a cast."""
    assert set(changes(run, "model.yaml", "model.yaml", "-w", "good.pt")) == set(weights())
    save_file({name: tensor.float() for name, tensor in weights().items()}, "same.safetensors")
    assert changes(run, "same.safetensors", "model.yaml", "-w", "good.pt") == {}
    assert changes(run, "model.yaml", "same.safetensors", "-w", "good.pt") == {}
    assert load_file("same.safetensors")["2.bias"].tolist() == [0.5]


def test_a_rule_that_matches_nothing_is_no_answer(run: Run) -> None:
    """Status 1 would say that models differ, or that an expectation is broken: this is 2, with its place."""
    Path("typo.yaml").write_text(SPEC.replace("pattern: weight", "pattern: wieght"))
    for arguments in (["diff", "typo.yaml", "model.yaml", "--values"], ["check", "typo.yaml", "--finite"]):
        result = run(*arguments)
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.startswith("typo.yaml:2:8: error: --pattern wieght matches no parameter")


def test_values_before_the_rules_are_called_so(run: Run) -> None:
    """inspect and shared show what constructors draw; a note says so, and its line shows the others."""
    note = "note: these are the values before init: in model.yaml; '{}' shows those after it\n"
    shown = run("inspect", "model.yaml", "--values", "--set", "seed=3", "--name", "0.bias")
    line = "paramtool init model.yaml --values --set seed=3"
    assert shown.stderr == note.format(line)
    assert "tensor([0., 0., 0.])" not in shown.stdout
    assert "tensor([0., 0., 0.])" in run(*line.split()[1:]).stdout
    assert run("inspect", "model.yaml", "--stats").stderr == note.format("paramtool init model.yaml")
    assert run("inspect", "model.yaml", "--columns", "std").stderr == note.format("paramtool init model.yaml")
    assert "before init:" in run("shared", "model.yaml", "--by-value").stderr
    assert run("inspect", "model.yaml", "--values", "-w", "good.pt").stderr.count("before") == 0
    assert run("inspect", "model.yaml").stderr == ""


@pytest.mark.parametrize("seed", [0, 7])
def test_initial_values_are_called_so_beside_those_of_a_file(seed: int, run: Run) -> None:
    """Only where one side has values of a file; two specs are alike in it."""
    save_file({name: each.float() for name, each in weights().items()}, "w.safetensors")
    origin = f"are initial ones: seed {seed}, after its init"
    note = f"note: the values of model.yaml {origin}; --weights FILE loads others\n"
    chosen = ("--values", "--set", f"seed={seed}")
    assert run("diff", "w.safetensors", "model.yaml", *chosen).stderr == note
    assert run("diff", "model.yaml", "model.yaml", *chosen).stderr == ""
    assert "initial" not in run("diff", "w.safetensors", "model.yaml", *chosen, "-w", "good.pt").stderr
    assert run("diff", "w.safetensors", "model.yaml", *chosen[1:]).stderr == ""
    Path("made_nets.py").write_text("from torch import nn\ndef net(): return nn.Linear(2, 2)\n")
    said = run("diff", "w.safetensors", "made_nets.py:net", "--values").stderr
    assert "the values of made_nets.py:net are those that its code sets with seed 0" in said
