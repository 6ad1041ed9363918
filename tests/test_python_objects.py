"""Objects of Python: a module, a class or a factory that the person typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paramtool.language.python_object import read_object
from paramtool.network import python_object
from paramtool.operations.initialization.rule_application import initialize
from tests.conftest import Run
from tests.processes import execute

CODE = """
import warnings
import torch
from torch import nn

print("imported")


class Net(nn.Module):
    def __init__(self, width, depth=2, sizes=()):
        super().__init__()
        print("built")
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.scale = nn.Parameter(torch.ones(width) * 2)


class ReadsValues(nn.Module):
    def __init__(self):
        super().__init__()
        warnings.warn("old\\nstyle")
        self.w = nn.Parameter(torch.ones(int(torch.ones(3).sum())))


def factory(n: int = 3) -> nn.Module:
    return nn.Sequential(*[nn.Linear(n, n) for _ in range(2)])


def boom():
    raise RuntimeError("no\\nway")


def leave():
    raise SystemExit(0)


def odd(**given):
    return given


class Holder:
    net = Net


instance = nn.Linear(2, 2)
tied = nn.Sequential(instance, instance)
number = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write the code into the current folder; what is imported from it is forgotten afterwards."""
    (tmp_path / "nets.py").write_text(CODE)
    (tmp_path / "broken.py").write_text("import nets\nnot_defined\n")
    (tmp_path / "lacks.py").write_text("import no_such_thing_at_all\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in ("nets", "broken", "lacks"):
        sys.modules.pop(name, None)


def rows(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a JSON document by name."""
    return {row["name"]: row for row in json.loads(run("inspect", *arguments, "--json").stdout)["rows"]}


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_a_class_of_torch_is_built(run: Run) -> None:
    """The example of the docs: a class, with arguments."""
    found = rows(run, "torch.nn:Transformer", "--arg", "d_model=64", "--arg", "nhead=4")
    expected = nn.Transformer(d_model=64, nhead=4)
    assert {name: row["shape"] for name, row in found.items()} == {
        name: list(each.shape) for name, each in expected.named_parameters()
    }


@pytest.mark.parametrize(
    ("name", "arguments", "names"),
    [
        ("nets:Net", ["width=2", "depth=1"], ["scale", "layers.0.weight", "layers.0.bias"]),
        ("nets:Holder.net", ["width=2", "depth=0", "sizes=[1,2]"], ["scale"]),
        ("nets:factory", [], ["0.weight", "0.bias", "1.weight", "1.bias"]),
        ("nets:instance", [], ["weight", "bias"]),
        ("nets:tied", [], ["0.weight", "0.bias", "1.weight", "1.bias"]),
        ("nets:ReadsValues", [], ["w"]),
    ],
)
def test_every_kind_of_object_is_listed(name: str, arguments: list[str], names: list[str], run: Run) -> None:
    """A class, a factory, an attribute of an attribute, a module, and what needs values while it is built."""
    typed = [word for each in arguments for word in ("--arg", each)]
    result = run("inspect", name, *typed, "--json")
    assert [row["name"] for row in json.loads(result.stdout)["rows"]] == names
    assert json.loads(result.stdout)["model"] == name


def test_structure_takes_no_memory() -> None:
    """What can be built on the meta device is, however large it is."""
    built = python_object.structure(
        read_object("torch.nn:Linear", ["in_features=1000000", "out_features=1000000"])
    ).module
    assert built.get_parameter("weight").is_meta


def test_arguments_are_yaml() -> None:
    """Numbers, words, lists and nothing are what YAML 1.2 says; torch.bfloat16 is the dtype."""
    given = read_object("a:b", ["x=1e-3", "y=no", "z=[1, [2, 3]]", "n=", "t=true"]).arguments
    assert given == {"x": 0.001, "y": "no", "z": [1, [2, 3]], "n": None, "t": True}
    typed = ["in_features=1", "out_features=1", "dtype=torch.bfloat16"]
    built = python_object.structure(read_object("torch.nn:Linear", typed)).module
    assert built.get_parameter("weight").dtype == torch.bfloat16


def test_values_come_from_streams(run: Run) -> None:
    """A tensor's values depend on the seed and its name: another layer changes nothing here."""
    few = rows(run, "nets:Net", "--arg", "width=3", "--arg", "depth=1", "--values")
    many = rows(run, "nets:Net", "--arg", "width=3", "--arg", "depth=4", "--values")
    other = rows(run, "nets:Net", "--arg", "width=3", "--values", "--seed", "1")
    assert few["layers.0.weight"] == many["layers.0.weight"] != other["layers.0.weight"]
    assert few["scale"]["values"] == [2, 2, 2]


def test_values_can_be_those_of_a_hand_written_loop() -> None:
    """--rng torch is the constructor after manual_seed."""
    torch.manual_seed(5)
    expected = nn.Linear(4, 3)
    made = read_object("torch.nn:Linear", ["in_features=4", "out_features=3"])
    found = python_object.values(type(made)(**{**vars(made), "seed": 5}), "torch").module
    assert torch.equal(found.get_parameter("weight"), expected.weight)


def test_a_module_that_is_there_has_the_same_values_each_time() -> None:
    """A module that is built while it is imported is built after the seed was set."""
    command = ("inspect", "nets:instance", "--values", "--json")
    first, second = execute(*command), execute(*command)
    assert first.status == 0
    assert first == second


def test_what_the_code_prints_goes_to_stderr(run: Run) -> None:
    """Stdout is the result and nothing else; what was warned of is a note."""
    result = run("inspect", "nets:ReadsValues", "--values", "--json")
    assert json.loads(result.stdout)["rows"][0]["values"] == [1, 1, 1]
    assert result.stderr == "imported\nnote: old\n"


def test_init_takes_an_object(run: Run) -> None:
    """An object is initialized, and written, as a spec is."""
    rule = ("--pattern", "weight", "--ones")
    result = run("init", "nets:Net", "--arg", "width=2", *rule, "-o", "w.safetensors")
    assert result.status == 0
    found = rows(run, "w.safetensors", "--values")
    assert found["layers.1.weight"]["values"] == [[1, 1], [1, 1]]
    assert found["scale"]["values"] == [2, 2]
    drawn = rows(run, "nets:Net", "--arg", "width=2", "--values")
    assert found["layers.0.bias"]["values"] == drawn["layers.0.bias"]["values"]
    assert initialize(nn.Linear(1, 1), []).rows == ()


NOWHERE = "it is neither installed nor in the current folder"
SIGNATURE = "it is Net(width, depth=2, sizes=()); pass arguments with --arg KEY=VALUE"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("nets:Net", f"nets:Net: missing a required argument: 'width'; {SIGNATURE}"),
        ("nets:Net --arg wdth=3", f"nets:Net: missing a required argument: 'width'; {SIGNATURE}"),
        ("nets:Net --arg width=3 --arg width=4", "--arg 'width' appears twice"),
        (
            "nets:Net --arg width",
            "--arg width: error: expected KEY=VALUE;"
            " e.g. nhead=4, sizes=[3,4], or [3,4] for positional arguments",
        ),
        ("nets:Net --arg 1=2", "--arg has 1=… but no 0=…"),
        ("nets:Nett", "nets has no 'Nett'; type: paramtool inspect nets:Net"),
        ("nets:Holder.nett", "nets has no 'Holder.nett'; type: paramtool inspect nets:Holder.net"),
        ("nest:Net", "no module 'nest' to import; it is neither installed nor in the current folder"),
        (
            "nets.inner:Net",
            "no module 'nets.inner' to import; it is neither installed nor in the current folder",
        ),
        (
            "lacks:x",
            "lacks.py:1:1: error: importing lacks failed: ModuleNotFoundError:"
            " No module named 'no_such_thing_at_all'",
        ),
        (
            "broken:x",
            "broken.py:2:1: error: importing broken failed: NameError: name 'not_defined' is not defined",
        ),
        ("nets:boom", "nets.py:29:5: error: nets:boom failed: RuntimeError: no"),
        ("nets:leave", "nets.py:33:5: error: nets:leave failed: SystemExit: 0"),
        ("nets:odd", "nets:odd made a dict, not a module"),
        ("nets:number", "nets:number is an int, neither a module nor a function that makes one"),
        ("nets:instance --arg a=1", "nets:instance is already a module and takes no --arg"),
        ("nets:Net --set seed=1", "--set changes a spec, but nets:Net is a name in Python"),
        (
            "torch.nn:Linear --arg in_features=-2 --arg out_features=3",
            "torch.nn:Linear failed: RuntimeError: "
            "Trying to create tensor with negative dimension -2: [3, -2]",
        ),
    ],
)
def test_what_is_wrong_is_a_line(typed: str, message: str, run: Run) -> None:
    """A name that is not there, what is no module, a constructor that raises: each is an error of a line."""
    result = run("inspect", *typed.split())
    assert (result.status, result.stdout) == (2, "")
    start = "" if ": error: " in message else "error: "
    said = [line for line in result.stderr.splitlines() if line != "imported" and not line.startswith("  ")]
    assert said == [start + message]


def test_a_file_of_that_name_comes_first(run: Run, folder: Path) -> None:
    """Where there is a file called like an object, it is the file that is meant."""
    (folder / "nets:Net").write_text("model: {Linear: [1, 1]}\n")
    assert "2 parameters in 2 tensors" in run("inspect", "nets:Net").stdout
