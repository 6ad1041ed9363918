"""Checkpoints: what their files say is what is shown, and torch agrees with every number."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import paramtool
from paramtool.elements.files import FileElements
from paramtool.elements.measurement import measured
from paramtool.models.form import Form, recognize
from paramtool.models.open import open_checkpoint
from paramtool.network.listing import parameters
from paramtool.operations.listing.checkpoint import stored
from paramtool.records.parameter import STATISTICS_COLUMNS
from paramtool.render.formats import Format, as_text
from tests.conftest import Run

TENSORS: Mapping[str, Tensor] = {
    "block.0.weight": torch.linspace(-3, 5, 1200 * 70).reshape(1200, 70),
    "block.0.bias": torch.tensor([1.0, float("nan"), float("inf"), -2.5, 0.0]),
    "block.1.weight": torch.arange(700 * 300, dtype=torch.bfloat16).reshape(700, 300),
    "block.1.half": torch.linspace(0, 1, 9, dtype=torch.float16),
    "count": torch.tensor(7),
    "mask": torch.tensor([[True, False], [False, False]]),
    "empty": torch.empty(0, 3),
    "small": torch.arange(24, dtype=torch.int8).reshape(2, 3, 4) - 12,
    "deep": torch.arange(4096.0).reshape(2, 2, 2, 8, 8, 8),
    "complex": torch.complex(torch.arange(9.0), torch.arange(9.0).flip(0)),
    "float8": torch.linspace(-1, 1, 1001).to(torch.float8_e4m3fn),
}


def rows(text: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a JSON document by name."""
    return {row["name"]: row for row in json.loads(text)["rows"]}


class Holder(nn.Module):
    """Has the tensors as attributes of no class, under their dotted names."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        for number, tensor in enumerate(tensors.values()):
            self.register_buffer(f"b{number}", tensor)


@pytest.mark.parametrize("length", [128, 384, 640, 896, 1152, 1408])
def test_a_header_whose_length_begins_like_a_pickle_is_a_header(
    run: Run, tmp_path: Path, length: int
) -> None:
    """The bytes 80 00 to 80 05 begin a pickle, and every header of 128 bytes more than some 256."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).ljust(length)
    for name in ("w.safetensors", "w"):
        path = tmp_path / name
        path.write_bytes(length.to_bytes(8, "little") + header.encode() + bytes(8))
        assert list(rows(run("inspect", str(path), "--json").stdout)) == ["w"]


def test_every_number_is_that_of_torch(run: Run, tmp_path: Path) -> None:
    """Shapes, dtypes, statistics and values of a file are those of the tensors that torch loads from it."""
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(dict(TENSORS), path)
    found = rows(run("inspect", str(path), "--stats", "--values", "--json").stdout)
    loaded = safetensors.torch.load_file(path)
    assert found.keys() == loaded.keys() == TENSORS.keys()
    document = as_text(parameters(Holder(loaded), stats=True, values=True), Format.json)
    for number, (name, tensor) in enumerate(loaded.items()):
        expected = rows(document)[f"b{number}"]
        for column in ("shape", "dtype", "numel", "nbytes", "values", *STATISTICS_COLUMNS):
            assert found[name][column] == expected[column], (name, column)
        assert found[name]["type"] is found[name]["requires_grad"] is None
        assert torch.Size(found[name]["shape"]) == tensor.shape


def test_values_are_printed_as_torch_prints_them(run: Run, tmp_path: Path) -> None:
    """Large tensors are read at their edges only, and look as if they had been loaded."""
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(dict(TENSORS), path)
    text = run("inspect", str(path), "--values", "--all").stdout
    for name, tensor in safetensors.torch.load_file(path).items():
        assert f" {name}\n{tensor!s}\n\n" in text, name


def test_a_file_of_ours_shows_its_ties(run: Run, tmp_path: Path) -> None:
    """Names that `init -o` stored once are there again, tied to the first."""
    path = tmp_path / "gpt2.safetensors"
    spec = tmp_path / "tied.yaml"
    spec.write_text(
        "model: {Module: {wte: {Embedding: [5, 2]}, head: {Linear: [2, 5, false]}}}\n"
        "tie: {head.weight: wte.weight}\n"
    )
    assert run("init", str(spec), "--pattern", "wte", "--normal", "1", "-o", str(path)).status == 0
    found = rows(run("inspect", str(path), "--json").stdout)
    assert [(name, row["tied_to"]) for name, row in found.items()] == [
        ("wte.weight", None),
        ("head.weight", "wte.weight"),
    ]
    assert "10 elements in 1 tensor under 2 names, 40 B\n" in run("inspect", str(path)).stdout


def test_a_part_keeps_its_ties(run: Run, tmp_path: Path) -> None:
    """--module lists what is below a path by its own names, a tie with the outside apart."""
    path = tmp_path / "w.safetensors"
    tensors = {"a.w": torch.ones(2), "b.x.w": torch.ones(3)}
    safetensors.torch.save_file(tensors, path, {"b.v": "a.w", "b.w": "a.w", "b.u": "b.x.w", "format": "pt"})
    found = rows(run("inspect", str(path), "--module", "b", "--json").stdout)
    assert {name: row["tied_to"] for name, row in found.items()} == {
        "x.w": None, "u": "x.w", "v": None, "w": "v",
    }  # fmt: skip
    result = run("inspect", str(path), "--module", "c")
    assert (result.status, result.stderr) == (2, "error: no module 'c'; there are a, b, b.x\n")


@pytest.mark.parametrize("name", ["weights.safetensors", "model.yaml", "weights"])
def test_a_file_is_told_by_its_content(name: str, run: Run, tmp_path: Path) -> None:
    """What a safetensors file is called does not matter."""
    safetensors.torch.save_file({"w": torch.ones(2)}, tmp_path / name)
    assert "2 elements in 1 tensor, 8 B\n" in run("inspect", str(tmp_path / name)).stdout


def test_a_header_of_any_length_is_one(run: Run, tmp_path: Path) -> None:
    """Some lengths begin with the bytes of a pickle or another format, and are lengths all the same."""
    for padding in range(0, 1600, 8):  # a header is filled up to eight bytes
        path = tmp_path / "w"
        safetensors.torch.save_file({"a": torch.ones(1)}, path, {"note": "x" * padding})
        assert recognize(str(path)) is Form.checkpoint, padding
    assert rows(run("inspect", str(path), "--json").stdout)["a"]["shape"] == [1]


def test_the_tree_and_selections_work_on_names_alone(run: Run, tmp_path: Path) -> None:
    """Where no module is known the tree is made of the names; patterns, depth and folding as ever."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({f"h.{i}.{n}": torch.ones(2) for i in range(4) for n in "wb"}, path)
    assert "h.{0..3}.b     ×4" in run("inspect", str(path)).stdout
    tree = run("inspect", str(path), "--format", "tree", "--pattern", "[01].w").stdout.splitlines()
    assert tree[1:] == [
        "└── h  (4 elements, 16 B)",
        "    ├── 0  (2 elements, 8 B)",
        "    │   └── w  [2]  float32",
        "    └── 1  (2 elements, 8 B)",
        "        └── w  [2]  float32",
        "",
        "4 elements in 2 tensors, 16 B",
    ]
    assert " h        ×8         float32     16    64 B\n" in run("inspect", str(path), "--depth", "1").stdout


def test_what_a_checkpoint_cannot_tell_is_told(run: Run, tmp_path: Path) -> None:
    """Options that need a module say so, and what would do."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2)}, path)
    for options, message in (
        (["--set", "seed=1"], f"--set changes a spec, but {path} is a safetensors file"),
        (["--seed", "1"], f"--seed draws initial values, but {path} already has values"),
        (["--type", "Linear"], f"{path} has no classes for --type; --pattern selects by name"),
    ):
        result = run("inspect", str(path), *options)
        assert (result.status, result.stderr) == (2, f"error: {message}\n")
    assert run("init", str(path), "--pattern", "w", "--zeros").status == 2


def test_structure_needs_no_torch(tmp_path: Path) -> None:
    """A safetensors file is listed without importing torch."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2)}, path)
    code = (
        "import sys; from paramtool.cli.main import _run; _run(sys.argv[1:]); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_python_reads_what_the_command_reads(run: Run, tmp_path: Path) -> None:
    """`paramtool.inspect` returns the report that the command writes."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"a.w": torch.ones(2), "b": torch.ones(1)}, path)
    for words in ([], ["--stats", "--values"]):
        report = paramtool.inspect(path, stats=bool(words), values=bool(words))
        assert as_text(report, "json") == run("inspect", str(path), *words, "--json").stdout
        (tmp_path / "s.json").write_text(as_text(report, "json"))
        again = paramtool.inspect(tmp_path / "s.json", stats=bool(words), values=bool(words))
        assert as_text(again, "json") == as_text(report, "json")
    assert [row.name for row in paramtool.inspect(path, module="a").rows] == ["w"]
    (tmp_path / "m.yaml").write_text("model: ReLU")
    assert len(paramtool.inspect(tmp_path / "m.yaml")) == 0


@pytest.mark.parametrize("jobs", [2, 5])
def test_no_number_depends_on_threads(jobs: int, tmp_path: Path) -> None:
    """Statistics are the same to the last bit on any number of threads."""
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(dict(TENSORS), path)
    checkpoint = open_checkpoint(str(path))
    found, expected = (
        measured(stored(checkpoint), FileElements(checkpoint), stats=True, jobs=each) for each in (jobs, 1)
    )
    assert as_text(found, "json") == as_text(expected, "json")
