"""What is said where a model has no input, or one that is not written as inputs are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.conftest import Run

NETS = """\
from torch import nn

def image(): return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.LazyLinear(2))
def sound(): return nn.Sequential(nn.Conv1d(2, 8, 3))
def volume(): return nn.Sequential(nn.Conv3d(1, 8, 3))
def unknown_image(): return nn.Sequential(nn.LazyConv2d(8, 3))
def tokens(): return nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 2))
def sequence(): return nn.LSTM(7, 5)
def table(): return nn.Sequential(nn.BatchNorm1d(9), nn.Linear(9, 2))
def plain(): return nn.Sequential(nn.Linear(6, 2))
class Own(nn.Linear): pass
def own(): return Own(6, 2)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a file of networks and two specs."""
    (tmp_path / "input_nets.py").write_text(NETS)
    (tmp_path / "tokens.yaml").write_text("model: {Sequential: [{Embedding: [50, 8]}]}\n")
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    (tmp_path / "lazy.yaml").write_text("model: {Sequential: [{LazyLinear: 3}]}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "likely"),
    [
        ("image", "1,3,224,224"),
        ("sound", "2,2,100"),
        ("volume", "1,1,16,112,112"),
        ("unknown_image", "1,3,224,224"),
        ("tokens", "2,16,randint=50"),
        ("sequence", "2,16,7"),
        ("table", "2,4"),
        ("plain", "2,6"),
        ("own", "2,6"),
    ],
)
def test_an_object_is_given_an_input_of_its_first_layer(name: str, likely: str, run: Run) -> None:
    """It has no spec to write one into; where the first layer says its size, the line works."""
    model = f"input_nets.py:{name}"
    result = run("inspect", model, "--cost")
    message = f"error: {model} has no input to run on; e.g. --input {likely}\n"
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.endswith(message)
    if name in ("tokens", "sequence", "plain"):
        assert run("inspect", model, "--cost", "--input", likely).status == 0


def test_a_spec_may_have_it_too(run: Run) -> None:
    """Integers as the spec writes them."""
    hint = "'input: {shape: [2, 16], fill: randint, high: 50}' in the spec, or --input 2,16,randint=50"
    for command in (("grad", "tokens.yaml"), ("inspect", "tokens.yaml", "--cost")):
        result = run(*command)
        assert result.stderr == f"error: tokens.yaml has no input to run on; {hint}\n"
    assert hint in run("check", "tokens.yaml", "--gradients", "reach-all").stderr
    spec = Path("tokens.yaml").read_text() + "input: {shape: [2, 16], fill: randint, high: 50}\n"
    Path("tokens.yaml").write_text(spec)
    assert run("grad", "tokens.yaml").status == 0


def test_a_listing_with_unknown_shapes_says_what_fills_them(run: Run) -> None:
    """In one note; with an input there is nothing to say."""
    lazy = run("inspect", "input_nets.py:image")
    assert lazy.stderr == "note: 1 lazy module has no shapes; --input SIZE,… settles it\n"
    settled = run("inspect", "input_nets.py:image", "--input", "1,3,8,8")
    assert (settled.stderr, "?" in settled.stdout) == ("", False)
    assert run("inspect", "lazy.yaml").stderr == (
        "note: 1 lazy module has no shapes; give the spec an 'input' to settle it, or type --input SIZE,…\n"
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2,16,int64", "2,16,dtype=int64"),
        ("2,4,half", "2,4,dtype=float16"),
        ("2,4,bf16", "2,4,dtype=bfloat16"),
    ],
)
def test_a_dtype_alone_has_its_key(given: str, meant: str, run: Run) -> None:
    """The line to type has it."""
    result = run("grad", "tokens.yaml", "--input", given)
    dtype = meant.rpartition(",")[2]
    line = f"paramtool grad tokens.yaml --input {meant}"
    assert (result.status, result.stderr) == (
        2, f"--input {given}: error: a dtype is written {dtype}; type: {line}\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("check lazy.yaml --dtype float8", "did you mean 'float8_e4m3fn' or 'float8_e5m2'?"),
        ("check lazy.yaml --dtype fp4", "did you mean 'float4_e2m1fn_x2'?"),
        ("convert w.pt -o x.pt --dtype fp8", "did you mean 'float8_e4m3fn' or 'float8_e5m2'?"),
        ("grad tokens.yaml --input 2,4,dtype=float8", "did you mean 'float8_e4m3fn' or 'float8_e5m2'?"),
        ("inspect tokens.yaml --cost --dtype float8", "use one of float64, float32, bfloat16, float16"),
        ("inspect tokens.yaml --cost --dtype flot32", "did you mean 'float32'?"),
    ],
)
def test_a_family_of_dtypes_is_not_another_dtype(words: str, hint: str, run: Run) -> None:
    """Nobody who types float8 means float64."""
    result = run(*words.split())
    assert result.status == 2
    assert result.stderr.endswith(f"; {hint}\n")
