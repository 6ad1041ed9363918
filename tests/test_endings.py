"""The ending of ``-o PATH`` chooses the format; a mistyped one is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from paramtool.files.writing.endings import ARCHIVES, SAFETENSORS, UNWRITTEN, meant_by
from tests.conftest import CONFIGS, Run

NEAR = {
    "x.safetensor": "x.safetensors",
    "x.SafeTensor": "x.safetensors",
    "x.safetensros": "x.safetensors",
    "x.tensors": "x.safetensors",
    "x.st": "x.safetensors",
    "x.safetensors.gz": "x.safetensors",
    "x.pt.zip": "x.pt",
    "x.ptx": "x.pt",
    "x.th": "x.pth",
    "x.ckp": "x.ckpt",
    "x.checkpoint": "x.ckpt",
}
FOLDERS = ("llama-3.1", "run.2b", "phi-3.5b", "qwen2.5-bin", "out", "v1.0", "model.best", "x.epoch12")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with one checkpoint."""
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.ones(2)}, "in.pt")
    return tmp_path


@pytest.mark.parametrize("name", NEAR)
def test_a_near_miss_is_refused_with_the_line_to_type(run: Run, folder: Path, name: str) -> None:
    converted = run("convert", "in.pt", "-o", name)
    assert converted.status == 2
    assert converted.stderr.endswith(f"type: paramtool convert in.pt -o {NEAR[name]}\n")
    filled = run("init", str(CONFIGS / "mlp.yaml"), "-o", name)
    assert filled.status == 2
    assert f"-o writes safetensors, but {name} ends in" in filled.stderr
    assert [each.name for each in folder.iterdir()] == ["in.pt"]


@pytest.mark.parametrize("name", FOLDERS)
def test_names_with_dots_may_be_folders(run: Run, folder: Path, name: str) -> None:
    assert f"this writes 8 B to the folder {name}\n" in run("convert", "in.pt", "-o", name, "-n").stderr
    assert run("convert", "in.pt", "-o", name).status == 0
    assert (folder / name / "model.safetensors").is_file()


@pytest.mark.parametrize("ending", [*ARCHIVES, SAFETENSORS])
def test_right_endings_are_taken(ending: str) -> None:
    assert meant_by(Path(f"x{ending}")) is None


@pytest.mark.parametrize("ending", UNWRITTEN)
def test_no_command_writes_under_the_ending_of_another_format(run: Run, folder: Path, ending: str) -> None:
    for arguments in (["convert", "in.pt"], ["init", str(CONFIGS / "mlp.yaml")]):
        assert run(*arguments, "-o", f"x{ending}").status == 2
    assert [each.name for each in folder.iterdir()] == ["in.pt"]


def test_a_folder_that_is_there_is_meant(folder: Path) -> None:
    (folder / "x.part").mkdir()
    assert meant_by(folder / "x.part") is None
    assert meant_by(folder / "y.part") == folder / "y.pt"


def test_init_says_that_it_wrote_one_file(run: Run, folder: Path) -> None:
    spec = str(CONFIGS / "mlp.yaml")
    said = run("init", spec, "-o", "weights").stderr
    assert "weights is one safetensors file; other tools expect its name to end in .safetensors" in said
    assert (folder / "weights").is_file()
    assert "one safetensors file" not in run("init", spec, "-o", "w.safetensors").stderr
