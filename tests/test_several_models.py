"""``paramtool inspect runs/*.pt``: a line of totals for each model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import Run
from tests.processes import watch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write one of each kind, two of them broken, and a folder with two checkpoints."""
    state = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(2, dtype=torch.bfloat16)}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "a.pt")
    save_file(state, tmp_path / "b.safetensors")
    (tmp_path / "m.yaml").write_text("model: {Linear: [4, 3]}\n")
    (tmp_path / "bad.yaml").write_text("model: Nope\n")
    (tmp_path / "runs").mkdir()
    torch.save(state, tmp_path / "runs" / "1.pt")
    torch.save(state, tmp_path / "runs" / "2.pt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


NAMES = ("a.pt", "b.safetensors", "m.yaml")
ROWS = [
    {"name": "a.pt", "format": "torch.save", "tensors": 2, "numel": 8, "nbytes": 28, "beside": "epoch=3"},
    {
        "name": "b.safetensors", "format": "safetensors", "tensors": 2, "numel": 8, "nbytes": 28,
        "beside": None,
    },
    {"name": "m.yaml", "format": "spec", "tensors": 2, "numel": 15, "nbytes": 60, "beside": None},
]  # fmt: skip


def test_each_model_has_a_row(run: Run) -> None:
    """Counts are those of the model alone; `inspect` may be left out."""
    result = run(*NAMES, "--json")
    report = json.loads(result.stdout)
    assert (result.status, result.stderr, report["command"]) == (0, "", "models")
    assert [{key: row[key] for key in ROWS[0]} for row in report["rows"]] == ROWS
    assert [row["dtypes"] for row in report["rows"]] == ["float32, bfloat16", "float32, bfloat16", "float32"]
    assert report["totals"] == {"models": 3, "failed": 0, "tensors": 6, "numel": 31, "nbytes": 116}
    for row in ROWS:
        alone = json.loads(run("inspect", str(row["name"]), "--json").stdout)["totals"]
        assert (alone["tensors"], alone["parameters"], alone["nbytes"]) == (
            row["tensors"], row["numel"], row["nbytes"],
        )  # fmt: skip


def test_what_cannot_be_read_is_a_row(run: Run) -> None:
    """The others are still shown, and the exit status says that something failed."""
    result = run("inspect", "nope.pt", "a.pt", "bad.yaml", "b.safetensors", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert (result.status, [row["tensors"] for row in rows]) == (2, ["", "2", "", "2"])
    assert rows[0]["error"] == "No such file or directory"
    assert rows[2]["error"].startswith("1:8: error: unknown module 'Nope'")


def test_a_folder_has_a_row_for_each_checkpoint(run: Run) -> None:
    """A folder of several checkpoints is what is in it."""
    rows = json.loads(run("inspect", "m.yaml", "runs", "--json").stdout)["rows"]
    assert [row["name"] for row in rows] == ["m.yaml", "runs/1.pt", "runs/2.pt"]


def test_a_selection_counts_what_it_keeps(run: Run) -> None:
    """Patterns select in every model; one in which nothing matches has zeros."""
    rows = json.loads(run(*NAMES, "--pattern", "^0", "--exclude", "bias", "--json").stdout)["rows"]
    assert [(row["tensors"], row["numel"]) for row in rows] == [(1, 6), (1, 6), (0, 0)]


def test_rows_are_sorted(run: Run) -> None:
    """The largest first, or A to Z."""

    def names(*options: str) -> list[str]:
        return [row["name"] for row in json.loads(run(*NAMES, *options, "--json").stdout)["rows"]]

    assert names("--sort", "numel") == ["m.yaml", "a.pt", "b.safetensors"]
    assert names("--sort", "name", "--reverse") == ["m.yaml", "b.safetensors", "a.pt"]
    assert names("--reverse") == ["m.yaml", "b.safetensors", "a.pt"]
    assert run(*NAMES, "--sort", "shape").status == 2


@pytest.mark.parametrize(
    "options", ["--stats", "--values", "--module 0", "--depth 1", "--contents", "--seed 1", "--weights a.pt",
                "--set seed=1", "--arg a=1", "--buffers", "--verify", "--strip-prefix x", "--input 2,3"],
)  # fmt: skip
def test_options_for_one_model_are_refused(options: str, run: Run) -> None:
    """Nothing that was asked for is passed over."""
    result = run("inspect", *NAMES, *options.split())
    option = options.split(maxsplit=1)[0]
    message = f"error: {option} is for one MODEL, got 3; several MODELs show only totals\n"
    assert (result.status, result.stdout, result.stderr) == (2, "", message)


def test_every_format_is_written(run: Run) -> None:
    """People and machines get the same rows."""
    for format in ("table", "tree", "markdown", "jsonl", "tsv"):
        result = run(*NAMES, "--format", format)
        assert (result.status, result.stderr) == (0, "")
        assert all(name in result.stdout for name in NAMES)
    assert run("-", "-").stderr == "error: stdin can be read only once, but - appears twice\n"


def test_many_models_take_no_torch_and_no_memory(folder: Path) -> None:
    """A hundred files of 1,000 tensors take what two take."""
    save_file({f"layer.{i}.weight": torch.ones(1) for i in range(1000)}, folder / "w.safetensors")
    few, many = (watch("inspect", *(["w.safetensors"] * count), folder=folder) for count in (2, 100))
    assert (few.status, many.status, many.torch) == (0, 0, False)
    assert many.megabytes < few.megabytes + 8
