"""`init --weights X -o Y`: a checkpoint goes through a model to the disk, block by block."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from paramtool.tensors import streams
from tests.conftest import Run
from tests.processes import watch

SPEC = """\
model:
  Module:
    wte: {Embedding: [50, 30]}
    norm: {BatchNorm1d: 30}
    low: {Linear: {in_features: 9, out_features: 7, dtype: bfloat16}}
    none: {Parameter: [0, 3]}
    head: {Linear: {in_features: 30, out_features: 50, bias: false}}
tie: {head.weight: wte.weight}
"""
RULES = [
    pytest.param(["-p", "wte|low", "--add", "1", "-p", "norm", "--clamp", "0,1"], id="elementwise"),
    pytest.param(["-p", "wte", "--normal", "0.1", "-p", "wte", "--mul", "3"], id="random"),
    pytest.param(["-p", "wte", "--orthogonal", "-p", "low.weight", "--add", "1"], id="whole"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, and blocks so small that tensors have several."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    monkeypatch.setattr(streams, "BLOCK", 256)
    (tmp_path / "model.yaml").write_text(SPEC)
    torch.save(state(), "w.pt")
    return tmp_path


def state() -> dict[str, Tensor]:
    """Return values for the spec: the tied one under its second name and turned, one in another dtype."""
    torch.manual_seed(0)
    return {
        "head.weight": torch.randn(30, 50).t(),
        "norm.weight": torch.randn(30),
        "norm.bias": torch.randn(30),
        "norm.running_mean": torch.randn(30),
        "norm.running_var": torch.rand(30),
        "norm.num_batches_tracked": torch.tensor(7),
        "low.weight": torch.randn(7, 9),
        "low.bias": torch.randn(7).bfloat16(),
        "none": torch.empty(0, 3),
    }


def expected() -> dict[str, Tensor]:
    """Return what the model has of these, under first names and in its dtypes."""
    tensors = state()
    tensors["wte.weight"] = tensors.pop("head.weight")
    tensors["low.weight"] = tensors["low.weight"].bfloat16()
    return tensors


def same(found: dict[str, Tensor], meant: dict[str, Tensor]) -> bool:
    return sorted(found) == sorted(meant) and all(
        each.dtype == meant[name].dtype and torch.equal(each, meant[name]) for name, each in found.items()
    )


@pytest.mark.parametrize("more", [[], ["--jobs", "1"], ["--rng", "torch"]], ids=" ".join)
def test_without_rules_a_checkpoint_is_converted(run: Run, more: list[str]) -> None:
    """Every element is there, under the names and in the dtypes of the model; a tie is stored once."""
    result = run("init", "model.yaml", "--weights", "w.pt", "-o", "w.safetensors", *more)
    assert result.status == 0
    assert result.stderr == "note: 1 tensor is float32 in w.pt and bfloat16 in the model\n"
    assert result.stdout == " no rules; 6 tensors untouched\n wrote 6.6 kB to w.safetensors\n"
    assert same(load_file("w.safetensors"), expected())


def test_weights_take_the_place_of_the_rules_of_the_spec(run: Run, folder: Path) -> None:
    """`init:` says where training began: `init`, `grad` and `check` leave what was trained as it is."""
    (folder / "model.yaml").write_text(
        "model: {Linear: [1, 1]}\ninit: [{pattern: ., zeros: }]\ninput: {shape: [1, 1], fill: ones}\n"
    )
    torch.save({"weight": torch.tensor([[3.0]]), "bias": torch.tensor([2.0])}, "w.pt")
    given = ("model.yaml", "--weights", "w.pt")
    assert run("init", *given, "-o", "new.safetensors").stdout.startswith(" no rules; 2 tensors untouched")
    assert load_file("new.safetensors") == {"weight": torch.tensor([[3.0]]), "bias": torch.tensor([2.0])}
    assert json.loads(run("grad", *given, "--json").stdout)["totals"]["loss"] == 5
    typed = ("-p", "bias", "--add", "1")
    assert json.loads(run("grad", *given, *typed, "--json").stdout)["totals"]["loss"] == 6
    assert run("init", *given).stderr == "error: no rules; -o FILE writes the weights as they are\n"
    assert run("init", "model.yaml").stdout.splitlines()[2].split()[:4] == ["weight", "[1,", "1]", "zeros()"]


def test_shards_are_converted_to_shards_in_the_same_place(run: Run) -> None:
    """What is replaced is read before it is, so that a folder may be cut anew."""
    for source, size in (("w.pt", "2KB"), ("new", "6500B")):
        arguments = ["-w", source, "-o", "new", "--max-shard-size", size, "--force"]
        assert run("init", "model.yaml", *arguments).status == 0
    tensors = {
        name: each for path in Path("new").glob("*.safetensors") for name, each in load_file(path).items()
    }
    assert same(tensors, expected())
    assert run("init", "model.yaml", "-w", "new", "-o", "w.safetensors").status == 0
    again = run("init", "model.yaml", "-w", "w.safetensors", "-o", "w.safetensors", "--force")
    assert again.status == 0
    assert same(load_file("w.safetensors"), expected())


@pytest.mark.parametrize("rules", RULES)
def test_what_is_streamed_is_what_memory_would_hold(run: Run, rules: list[str]) -> None:
    """Rules make of the file's blocks what they make of a model that was loaded."""
    arguments = ["init", "model.yaml", "-w", "w.pt", *rules, "--json"]
    memory = json.loads(run(*arguments).stdout)["rows"]
    straight = json.loads(run(*arguments, "-o", "w.safetensors", "--jobs", "2").stdout)["rows"]
    assert [row["sha256"] for row in straight] == [row["sha256"] for row in memory]
    touched = {row["name"] for row in memory}
    found, meant = load_file("w.safetensors"), expected()
    untouched = set(meant) - touched
    assert same({name: found[name] for name in untouched}, {name: meant[name] for name in untouched})
    assert [row["mean"] for row in straight] == pytest.approx([row["mean"] for row in memory], rel=1e-4)


def test_a_parametrized_weight_is_converted_as_it_is_stored(run: Run, folder: Path) -> None:
    """Without rules what is computed need not be; with rules the forward uses what they say."""
    (folder / "normed.py").write_text(
        "from torch import nn\n\n"
        "def net():\n    return nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))\n"
    )
    names = {"bias": (2,), "parametrizations.weight.original0": (2, 1)}
    stored = {name: torch.rand(shape) for name, shape in names.items()}
    stored["parametrizations.weight.original1"] = torch.rand(2, 3)
    save_file(stored, "n.safetensors")
    assert run("init", "normed:net", "-w", "n.safetensors", "-o", "out").status == 0
    assert same(load_file("out"), stored)
    ones = ["-p", "^weight$", "--ones", "-o", "out", "--force"]
    assert run("init", "normed:net", "-w", "n.safetensors", *ones).status == 0
    found = load_file("out")
    direction = found["parametrizations.weight.original1"]
    weight = found["parametrizations.weight.original0"] * direction / direction.norm(dim=1, keepdim=True)
    assert torch.allclose(weight, torch.ones(2, 3))
    assert torch.equal(found["bias"], stored["bias"])


def test_what_is_not_finite_is_told(run: Run) -> None:
    """A file that holds NaN is converted as it is, with a note; so is what a cast makes infinite."""
    Path("model.yaml").write_text(
        "model: {Module: {a: {Parameter: [600]}, b: {Parameter: [2]}}}\ndtype: float16\n"
    )
    save_file({"a": torch.full((600,), 1e6), "b": torch.tensor([0.0, torch.nan])}, "nan.safetensors")
    result = run("init", "model.yaml", "-w", "nan.safetensors", "-o", "w.safetensors")
    assert result.status == 0
    assert result.stderr.endswith("note: a and 1 more of nan.safetensors has NaN or infinities\n")
    assert load_file("w.safetensors")["a"].isinf().all()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["act", "plan"])
def test_what_does_not_fit_is_not_converted(run: Run, dry: tuple[str, ...]) -> None:
    """Everything that stands against the load is told, and nothing is written."""
    tensors = state()
    del tensors["norm.bias"]
    torch.save({**tensors, "low.bias": torch.zeros(8), "more": torch.zeros(1)}, "unfit.pt")
    result = run("init", "model.yaml", "-w", "unfit.pt", "-o", "out", *dry)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: unfit.pt lacks 'norm.bias' [30]",
        "error: unfit.pt has 'more' [1], which the model does not have",
        "error: 'low.bias' is [7] in the model but [8] in unfit.pt",
    ]
    assert not Path("out").exists()


def test_a_conversion_may_be_tried(run: Run) -> None:
    """--dry-run says how much it would write, and writes nothing."""
    result = run("init", "model.yaml", "-w", "w.pt", "-o", "out", "--dry-run")
    assert (result.status, result.stdout) == (0, " no rules; 6 tensors untouched\n")
    assert result.stderr.splitlines()[1:] == ["note: without --dry-run this writes 6.6 kB to out"]
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["model.yaml", "-w", "w.pt"], "error: no rules; -o FILE writes the weights as they are\n"),
        (["model.yaml", "-w", "w.pt", "-n"], "error: no rules; -o FILE writes the weights as they are\n"),
        (["model.yaml", "-o", "out"], "error: no rules; e.g. --pattern weight"),
        (
            ["w.pt", "-o", "out"],
            "error: w.pt holds tensors but no module;"
            " this takes a spec or package.module:object, with --weights w.pt\n",
        ),
    ],
)
def test_what_would_do_nothing_says_what_would(run: Run, arguments: list[str], said: str) -> None:
    """Without rules there is something to do only for weights with a place to go, and a model of them."""
    result = run("init", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(said)
    assert not Path("out").exists()


def test_memory_does_not_grow_with_what_is_converted(folder: Path) -> None:
    """Eight times the weights are converted in about the same memory."""
    peaks = []
    for rows in (1024, 8192):
        spec = f"model: {{Module: {{a: {{Parameter: [{rows}, 2048]}}, b: {{Parameter: [{rows}, 2048]}}}}}}\n"
        (folder / "big.yaml").write_text(spec)
        wrote = watch(
            "init", "big.yaml", "-p", ".", "--ones", "-o", "big.safetensors", "--force", folder=folder
        )
        assert wrote.status == 0
        found = watch("init", "big.yaml", "-w", "big.safetensors", "-o", "out", "--force", folder=folder)
        assert found.status == 0, found.stderr
        peaks.append(found.megabytes)
    assert peaks[1] < peaks[0] + 50
