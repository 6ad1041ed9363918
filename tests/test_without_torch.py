"""Where torch is not installed: what needs none of it works, and what needs it says so in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import CONFIGS

HIDDEN = """
import io, json, sys
from importlib.machinery import PathFinder

class WithoutTorch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name == "torch" else PathFinder.find_spec(name, path, target)

sys.meta_path[:] = [each for each in sys.meta_path if each is not PathFinder] + [WithoutTorch]
from paramtool.cli.main import _run
found = []
for arguments in json.loads(sys.argv[1]):
    sys.stdout, sys.stderr = out, err = io.StringIO(), io.StringIO()
    status = _run(arguments)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    found.append((status, out.getvalue(), err.getvalue()))
assert "torch" not in sys.modules
print(json.dumps(found))
"""


def hidden(*commands: list[str]) -> list[tuple[int, str, str]]:
    """Return status, stdout and stderr of each command in a process that finds no torch."""
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    return [tuple(each) for each in json.loads(done.stdout)]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """Write a checkpoint that fits configs/mlp.yaml."""
    path = tmp_path / "w.safetensors"
    names = {"0.weight": (3, 4), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)}
    save_file({name: torch.ones(shape) for name, shape in names.items()}, path)
    return str(path)


def test_names_shapes_and_stored_values_need_no_torch(weights: str) -> None:
    """Specs of built-in classes, files and snapshots are listed, shared, compared and checked."""
    mlp, gpt2 = str(CONFIGS / "mlp.yaml"), str(CONFIGS / "gpt2.yaml")
    results = hidden(
        ["inspect", mlp, "--json"],
        ["inspect", weights, "--stats", "--values"],
        ["shared", gpt2],
        ["shared", weights, "--by-value"],
        ["diff", weights, mlp],
        ["diff", weights, weights, "--values"],
        ["check", gpt2],
        ["check", weights, "--finite", "--parameters", "19"],
        ["convert", weights, "-o", weights.replace("w.", "c."), "--dtype", "float16"],
        ["convert", weights, "-o", weights.replace("w.safetensors", "c.pt")],
        ["init", mlp, "--dry-run"],
        ["init", gpt2, "-n", "-p", "weight", "--ndim", "2", "--kaiming-normal", "-o", f"{weights}.new"],
        ["diff", weights, mlp, "--format", "html"],
        ["inspect", weights, "--stats", "--report", f"{weights}.html"],
        ["initializers"],
        ["schema"],
    )
    assert [status for status, _, _ in results] == [0] * len(results), results
    assert json.loads(results[0][1])["totals"]["parameters"] == 19


def test_snapshots_and_errors_need_no_torch(weights: str, tmp_path: Path) -> None:
    """What CI asks: a snapshot against its spec, and models of which some cannot be checked."""
    gpt2, mlp = str(CONFIGS / "gpt2.yaml"), str(CONFIGS / "mlp.yaml")
    snapshot, bad = str(tmp_path / "gpt2.json"), str(tmp_path / "bad.yaml")
    ((_, listed, _),) = hidden(["inspect", gpt2, "--buffers", "--json"])
    Path(snapshot).write_text(listed)
    Path(bad).write_text("model: {Liner: [4, 3]}\n")
    (tmp_path / "filled.yaml").write_text("model: {Linear: [4, 3]}\ninit: [{pattern: ., zeros: }]\n")
    results = hidden(
        ["check", gpt2, "--same-as", snapshot, "--quiet"],
        ["diff", snapshot, gpt2],
        ["inspect", snapshot],
        ["shared", snapshot],
        ["check", snapshot, "--parameters", "124M", "--shared", "lm_head.weight,wte.weight"],
        ["check", weights, "--same-as", mlp],
        ["check", str(tmp_path / "filled.yaml"), "--init", "complete"],
    )
    assert [status for status, _, _ in results] == [0] * len(results), results
    assert results[0][1:] == ("", "")
    ((status, out, err),) = hidden(
        ["check", bad, mlp, weights, "--finite", "--parameters", "19", "-f", "jsonl"]
    )
    found = [json.loads(line) for line in out.splitlines()]
    assert (status, [row["holds"] for row in found]) == (2, [None, True, None, True, True])
    assert found[0]["error"] == "unknown module 'Liner'; did you mean 'Linear'?"
    message = "cannot check 'finite': this needs torch, which is not installed; pip install torch"
    assert (found[2]["error"], message in err) == (message, True)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ("-n -p nothing --zeros", 1, "--pattern nothing matches no parameter"),
        ("-n -p bias --xavier-normal", 2, "cannot fill '0.bias': Fan in and fan out can not be computed"),
        ("-p bias --xavier-normal -o new", 2, "cannot fill '0.bias': Fan in and fan out can not be computed"),
        ("-p weight --zeros -o {weights}", 2, "already exists; --force replaces it"),
    ],
)
def test_complaints_about_a_plan_need_no_torch(weights: str, options: str, status: int, said: str) -> None:
    """What stands against the rules or the target of a spec is reported before torch is asked for."""
    typed = options.format(weights=weights).split()
    ((found, out, err),) = hidden(["init", str(CONFIGS / "mlp.yaml"), *typed])
    assert (found, out) == (status, "")
    assert said in err


@pytest.mark.parametrize("command", ["init --pattern . --zeros", "grad", "inspect --stats", "inspect --cost"])
def test_what_needs_torch_says_so(command: str) -> None:
    """A network, its values and its gradients take torch: one line of an error, exit status 2."""
    name, *options = command.split()
    ((status, out, err),) = hidden([name, str(CONFIGS / "mlp.yaml"), *options])
    assert (status, out) == (2, "")
    *notes, error = err.splitlines()
    assert error == "error: this needs torch, which is not installed; pip install torch"
    assert all(each.startswith("note: ") for each in notes)
