"""Saving: what is written is what the same rules give in memory, whatever its size and the threads."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from paramtool.errors import NothingMatched, ParamtoolError
from paramtool.language.catalog import shipped
from paramtool.language.document import Spec, read_spec
from paramtool.network import construction
from paramtool.operations.initialization.rule_application import initialize
from paramtool.operations.initialization.weights_file import save
from paramtool.place import Place, Text
from paramtool.records.rule import Rule
from paramtool.signals import ENDINGS
from paramtool.tensors import streams
from tests.conftest import Run

PLACE = Place(Text("rule", "", is_option=True), 1, 1)
MODEL = """
model:
  Sequential:
    a: {Linear: [40, 30]}
    b: {Embedding: {num_embeddings: 50, embedding_dim: 30, padding_idx: 3}}
    c: {BatchNorm1d: 30}
    d: {LSTM: [30, 20]}
    e: {Linear: {in_features: 40, out_features: 30, dtype: bfloat16}}
"""


def rule(initializer: str, **arguments: Any) -> Rule:
    """Return a rule; the selectors are among the arguments."""
    selectors = {
        key: arguments.pop(key) for key in ("pattern", "exclude", "type", "ndim") if key in arguments
    }
    return Rule(initializer, arguments, PLACE, **selectors)


RULES = {
    "none": [],
    "normal": [rule("normal", pattern="weight", std=0.02), rule("zeros", pattern="bias")],
    "after": [
        rule("normal", pattern="a", std=1.0),
        rule("mul", pattern="a", value=2.0),
        rule("add", value=1.0),
    ],
    "whole": [rule("orthogonal", ndim=2), rule("mul", pattern="a", value=3.0)],
    "on what is there": [rule("clamp", min=-0.05, max=0.05)],
}


def spec(text: str = MODEL) -> Spec:
    """Return the spec that `text` writes."""
    return read_spec(Text("m.yaml", text), shipped())


def written(target: Path, text: str = MODEL, rules: list[Rule] | None = None, **more: Any) -> dict[str, Any]:
    """Write a spec straight to disk and return what torch reads."""
    built, sketch = construction.sketch(spec(text))
    save(built.module, target, rules or [], fills=sketch.fills_by_name(built.module), **more)
    return dict(load_file(target))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_file_has_what_memory_has(
    name: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tensors on disk are bit for bit those of the module that is initialized in memory."""
    monkeypatch.setattr(streams, "BLOCK", 256)
    module = construction.values(spec()).module
    initialize(module, RULES[name])
    found = written(tmp_path / "w.safetensors", rules=RULES[name], jobs=jobs)
    expected = module.state_dict()
    assert sorted(found) == sorted(expected)
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key


def test_the_same_command_writes_the_same_bytes(tmp_path: Path) -> None:
    """Two runs with different threads write identical files."""
    one, two = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    written(one, rules=RULES["normal"], jobs=1)
    written(two, rules=RULES["normal"], jobs=4)
    assert one.read_bytes() == two.read_bytes()


def test_a_tied_tensor_is_stored_once(tmp_path: Path) -> None:
    """Tied names are one tensor in the file, and the metadata map the other names to it."""
    head = "{Linear: {in_features: 4, out_features: 5, bias: false}}"
    text = "model: {Sequential: {wte: {Embedding: [5, 4]}, head: " + head + "}}\n"
    target = tmp_path / "w.safetensors"
    found = written(target, text + "tie: {head.weight: wte.weight}")
    with safe_open(target, "pt") as file:
        metadata = file.metadata()
    assert list(found) == ["wte.weight"]
    assert metadata["head.weight"] == "wte.weight"
    assert json.loads(metadata["paramtool"])["seed"] == 0


def test_buffers_that_are_not_persistent_are_not_stored(tmp_path: Path) -> None:
    """A file holds what a state_dict holds."""
    buffers = "a: {Buffer: {shape: [2], fill: ones}}, b: {Buffer: {shape: [2], persistent: false}}"
    text = "model: {Module: {" + buffers + "}}"
    found = written(tmp_path / "w.safetensors", text)
    assert {key: tensor.tolist() for key, tensor in found.items()} == {"a": [1.0, 1.0]}


def test_the_observed_moments_are_those_of_what_is_written(tmp_path: Path) -> None:
    """The table's mean, std, min and max are of the file's tensors."""
    built, sketch = construction.sketch(spec())
    target = tmp_path / "w.safetensors"
    report = save(built.module, target, RULES["normal"], fills=sketch.fills_by_name(built.module))
    found = load_file(target)
    for row in report.rows:
        tensor = found[row.name].double()
        assert row.mean == pytest.approx(tensor.mean().item(), abs=1e-6)
        assert row.std == pytest.approx(tensor.std().item(), rel=1e-4, abs=1e-9)
        assert (row.min, row.max) == (tensor.min().item(), tensor.max().item())


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    """A rule that matches nothing, or a shape that cannot be filled, leaves no file."""
    built, sketch = construction.sketch(spec())
    fills = sketch.fills_by_name(built.module)
    with pytest.raises(NothingMatched):
        save(built.module, tmp_path / "w", [rule("zeros", pattern="zzz")], fills=fills)
    with pytest.raises(ParamtoolError, match="fewer than 2 dimensions"):
        save(built.module, tmp_path / "w", [rule("xavier_uniform")], fills=fills)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_and_refuses_to_write_twice(tmp_path: Path, run: Run) -> None:
    """`-o` writes a file, an existing file is refused without `--force`, shards go to a folder."""
    model, target = tmp_path / "model.yaml", tmp_path / "w.safetensors"
    model.write_text(MODEL)
    first = run("init", str(model), "--ndim", "2", "--normal", "0.02", "-o", str(target))
    assert (first.status, first.stderr) == (0, "")
    assert first.stdout.splitlines()[-1].endswith(f"to {target}")
    again = run("init", str(model), "-p", ".", "--zeros", "-o", str(target))
    assert (again.status, again.stdout) == (2, "")
    assert "--force" in again.stderr
    folder = tmp_path / "shards"
    result = run("init", str(model), "-p", ".", "--zeros", "-o", str(folder), "--max-shard-size", "4KB")
    assert result.status == 0
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(load_file(target))


def test_what_no_sketch_knows_is_written_from_memory(tmp_path: Path, run: Run) -> None:
    """A model with fills that cannot be recorded is built in memory, and written with its rules."""
    model, target = tmp_path / "model.yaml", tmp_path / "w.safetensors"
    model.write_text(
        "model: {Module: {a: {Buffer: {shape: [4], fill: randint, high: 9}}, l: {Linear: [2, 2]}}}"
    )
    assert run("init", str(model), "--pattern", "weight", "--ones", "-o", str(target)).status == 0
    found = load_file(target)
    assert found["l.weight"].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert found["a"].max() < 9


@pytest.mark.parametrize("number", ENDINGS)
def test_an_interrupted_write_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    """Interrupted or terminated while it writes, the command removes what it began and says which it was."""
    model, folder = tmp_path / "model.yaml", tmp_path / "out"
    folder.mkdir()
    model.write_text("model: {Linear: {in_features: 20000, out_features: 20000, bias: false}}")
    command = [
        sys.executable,
        "-m",
        "paramtool",
        "init",
        str(model),
        "-p",
        ".",
        "--normal",
        "1",
        "-o",
        str(folder / "w"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 60
    while not list(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (128 + number, f"{ENDINGS[number]}\n")
    assert list(folder.iterdir()) == []


def test_a_checkpoint_can_be_copied_from_by_name(tmp_path: Path, run: Run) -> None:
    """`copy` fills parameters from a file by the same or a mapped name, NaN and all."""
    model, source, target = tmp_path / "model.yaml", tmp_path / "old", tmp_path / "new"
    model.write_text("model: {Sequential: [{Linear: [2, 2]}, {Linear: [2, 2]}]}")
    weight = torch.tensor([[1.0, 2.0], [3.0, torch.nan]])
    save_file({"old.0.weight": weight, "1.weight": weight * 2}, source)
    mapped = f"copy:file={source},name=old.{{name}}"
    first = run("init", str(model), "--pattern", "0.weight", "--with", mapped, "-o", str(target))
    assert first.status == 0, first.stderr
    assert torch.equal(load_file(target)["0.weight"], weight) is False  # NaN is unequal to itself
    assert load_file(target)["0.weight"].nan_to_num(7.0).tolist() == [[1.0, 2.0], [3.0, 7.0]]
    same = run("init", str(model), "--pattern", "1.weight", "--with", f"copy:file={source}", "--values")
    assert "[2., 4.]" in same.stdout


@pytest.mark.parametrize(
    ("pattern", "given", "said"),
    [
        ("0.bias", "copy:file=old,name=1.weight", "it is [2], but '1.weight' in old is [2, 2]"),
        ("0.weight", "copy:file=old", "old has no tensor '0.weight'"),
        ("0.weight", "copy:file=nowhere", "cannot read nowhere"),
        (
            "0.weight",
            "copy:file=model.yaml",
            "model.yaml is not a checkpoint; e.g.",
        ),
        ("0.weight", "copy", "copy lacks 'file'"),
    ],
)
def test_a_copy_that_cannot_be_is_refused(
    pattern: str, given: str, said: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing file or name, another shape and no checkpoint at all are errors before anything is filled."""
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text("model: {Sequential: [{Linear: [2, 2]}]}")
    save_file({"1.weight": torch.ones(2, 2)}, "old")
    result = run("init", "model.yaml", "--pattern", pattern, "--with", given)
    assert (result.status, result.stdout) == (2, "")
    assert said in result.stderr
