"""What was cut off, or has something behind its end, is called so, whatever its format."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import CONFIGS, Run

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4, dtype=torch.float16)}
CUT_OFF = (
    "cut off",
    "is the file complete?",
    "is empty: it has 0 bytes; was the download or the save broken off?",
)
IGNORED = {"legacy.pt": "torch.load", "dict.pkl": "pickle.load", "a.npy": "numpy.load"}
LOADERS: dict[str, Callable[..., Any]] = {
    "legacy.pt": torch.load,
    "dict.pkl": pickle.load,
    "a.npy": np.load,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """Enter a folder with a file of several formats each."""
    monkeypatch.chdir(tmp_path)
    torch.save(TENSORS, "zip.pt")
    torch.save(TENSORS, "legacy.pt", _use_new_zipfile_serialization=False)
    arrays = {name: tensor.numpy() for name, tensor in TENSORS.items()}
    Path("dict.pkl").write_bytes(pickle.dumps(arrays))
    np.save("a.npy", arrays["a"])
    np.savez("all.npz", a=arrays["a"], b=arrays["b"])
    save_file(TENSORS, "x.safetensors")
    Path("s.json").write_text(run("inspect", str(CONFIGS / "gpt2.yaml"), "--json").stdout)
    return tmp_path


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "dict.pkl", "all.npz", "x.safetensors", "s.json"])
def test_a_file_that_was_cut_off_is_called_so(run: Run, folder: Path, name: str) -> None:
    content = (folder / name).read_bytes().rstrip()
    lengths = {0, 8, 9, 40, 100, len(content) - 1, *range(12, len(content), len(content) // 17)}
    for length in sorted(lengths):
        (folder / f"cut_{name}").write_bytes(content[:length])
        result = run("inspect", f"cut_{name}")
        assert (result.status, result.stdout) == (2, "")
        assert any(each in result.stderr for each in CUT_OFF), (length, result.stderr)


def test_an_array_without_all_of_its_elements_was_cut_off(run: Run, folder: Path) -> None:
    (folder / "a.npy").write_bytes((folder / "a.npy").read_bytes()[:-1])
    assert "its shape needs 24 bytes, and it has 23; it was cut off" in run("inspect", "a.npy").stderr


@pytest.mark.parametrize("name", IGNORED)
def test_bytes_after_the_end_are_named_if_the_loader_ignores_them(run: Run, folder: Path, name: str) -> None:
    before = run("inspect", name)
    with (folder / name).open("ab") as file:
        file.write(b"more")
    after = run("inspect", name)
    assert after.stdout == before.stdout
    assert "4 bytes after the end are ignored" in after.stderr
    assert f"{IGNORED[name]} ignores them too" in after.stderr
    with (folder / name).open("rb") as file:  # as the note says
        loaded: Any = LOADERS[name](file)
    assert len(loaded) == 2


def test_other_loaders_refuse_bytes_after_the_end(run: Run, folder: Path) -> None:
    with (folder / "x.safetensors").open("ab") as file:
        file.write(b"m")
    assert run("inspect", "x.safetensors").stderr.endswith("1 byte follows its last tensor\n")


JSON = {
    '{"schema": 1, "command": "inspect", "mo': "is a snapshot that was cut off; 'paramtool inspect",
    '{"metadata": {"total_size": 8}, "weight_map": {"a"': "is the index of a checkpoint that was cut off",
    '{"architectures": [': "is JSON that was cut off",
    "{": "is JSON that was cut off",
    "{}": "is JSON, but an empty object; ",
    '{"a": 1}': "is JSON, but neither a spec, a snapshot nor the index of a checkpoint; ",
    '{"name": "a"}\n{"name": "b"}': "holds more than one JSON object; a snapshot is one",
    '{"schema": 1, command: "inspect"}': "x.json:1:15: error: this is a snapshot, but not valid JSON",
    '{"modle": {"Linear": [4, 3]}}': "unknown key 'modle'; did you mean 'model'?",
    "{model: Linear}": "Linear",
}


@pytest.mark.parametrize("content", JSON)
def test_json_is_called_what_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.json").write_text(content)
    result = run("inspect", "x.json")
    assert (result.status, result.stdout) == (2, "")
    assert JSON[content] in result.stderr
    assert "YAML" not in result.stderr


@pytest.mark.parametrize("content", ['{"model": {"Linear": [4, 3]}}', '{"model": {Linear: [4, 3]}}'])
def test_a_spec_may_be_json_or_nearly(run: Run, tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    assert run("inspect", str(path)).status == 0
