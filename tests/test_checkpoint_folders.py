"""A folder is opened as its readers would open it, and else by what is in it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from paramtool.errors import ParamtoolError
from paramtool.files.reading.folder import SeveralCheckpoints
from paramtool.files.reading.safetensors_check import check_safetensors
from tests.checkpoint_values import assert_holds, opened
from tests.conftest import Run

A, B = {"a.weight": torch.arange(6.0).reshape(2, 3)}, {"b.weight": torch.ones(4)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder."""
    (tmp_path / "m").mkdir()
    return tmp_path / "m"


def save_bin(tensors: dict[str, Tensor], path: Path) -> None:
    """Write with torch.save."""
    torch.save(tensors, path)


Save = Callable[[dict[str, Tensor], Path], None]
SAVERS: dict[str, Save] = {"safetensors": save_file, "bin": save_bin, "pt": save_bin}


def test_a_snapshot_of_the_hugging_face_cache(run: Run, tmp_path: Path) -> None:
    """Every file is a link to a blob: the shards, the index, and the one file of a small model."""
    blobs, cache = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    cache.mkdir(parents=True)
    one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    index = {"metadata": {"total_size": 40}, "weight_map": {"a.weight": one, "b.weight": two}}
    save_file(A, blobs / "1")
    save_file(B, blobs / "2")
    (blobs / "3").write_text(json.dumps(index))
    for blob, name in (("1", one), ("2", two), ("3", "model.safetensors.index.json")):
        (cache / name).symlink_to(f"../../blobs/{blob}")
    assert_holds(opened(cache), {**A, **B})
    assert_holds(opened(cache / "model.safetensors.index.json"), {**A, **B})
    assert "10 elements in 2 tensors" in run("inspect", str(cache)).stdout
    (cache / "model.safetensors").symlink_to("../../blobs/1")
    assert_holds(opened(cache), A)


@pytest.mark.parametrize("to", ["/dev/zero", "loop.safetensors", "/", "nothing"])
def test_a_link_leads_to_a_file_or_nowhere(to: str, run: Run, folder: Path) -> None:
    """Never to a device, which would have no end."""
    (folder / "loop.safetensors").symlink_to("loop.safetensors")
    (folder / "model.safetensors").symlink_to(to)
    result = run("inspect", str(folder))
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == f"error: {folder}/model.safetensors is a link to {to}, which is not a file\n"


@pytest.mark.parametrize("kind", SAVERS)
def test_shards_without_an_index(kind: str, folder: Path) -> None:
    """They are put together; a note says what is missing."""
    stem = "model" if kind == "safetensors" else "pytorch_model"
    SAVERS[kind](A, folder / f"{stem}-00001-of-00002.{kind}")
    SAVERS[kind](B, folder / f"{stem}-00002-of-00002.{kind}")
    found = opened(folder)
    assert_holds(found, {**A, **B})
    assert (found.name, found.notes) == (str(folder), ())
    (folder / f"{stem}-00001-of-00002.{kind}").unlink()
    found = opened(folder)
    assert_holds(found, B)
    assert found.notes == (f"{folder}: 1 of its 2 shards are missing: only {stem}-00002-of-00002.{kind}",)


def test_shards_with_one_name_twice(folder: Path) -> None:
    """Two shards with the same tensor are no checkpoint."""
    save_file(A, folder / "model-00001-of-00002.safetensors")
    save_file(A, folder / "model-00002-of-00002.safetensors")
    with pytest.raises(ParamtoolError, match=r"has 'a.weight' in model-00001-of-00002.safetensors and in"):
        opened(folder)


def test_llamas_files_are_listed_as_slices(folder: Path) -> None:
    """One file is the model; several have slices of the same names, and a note says so."""
    torch.save(A, folder / "consolidated.00.pth")
    assert_holds(opened(folder), A)
    torch.save({name: each + 1 for name, each in A.items()}, folder / "consolidated.01.pth")
    found = opened(folder)
    first = A["a.weight"]
    assert_holds(found, {"consolidated.00.a.weight": first, "consolidated.01.a.weight": first + 1})
    assert found.notes == (
        f"{folder} is split for 2 GPUs: each file has its slice of the tensors,"
        " and each shape is that of the slice",
    )


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "lora.safetensors", "best.pt", "x.ckpt"])
def test_one_checkpoint_of_any_name(name: str, folder: Path) -> None:
    """An adapter, or whatever is alone in a folder."""
    (save_file if name.endswith("safetensors") else save_bin)(A, folder / name)
    (folder / "README.md").write_text("hello")
    assert_holds(opened(folder), A)


def test_a_trainers_folder_shows_the_model_and_tells_the_rest(folder: Path) -> None:
    """The optimizer is contents, in whatever order the names are."""
    save_file(A, folder / "model.safetensors")
    for name in ("optimizer.pt", "rng_state.pth", "scheduler.pt", "training_args.bin"):
        torch.save({"state": torch.ones(2)}, folder / name)
    (folder / "trainer_state.json").write_text("{}")
    found = opened(folder)
    assert_holds(found, A)
    assert [each.name for each in found.contents] == [
        "optimizer.pt", "rng_state.pth", "scheduler.pt", "trainer_state.json", "training_args.bin",
    ]  # fmt: skip
    assert found.contents[0].nbytes == (folder / "optimizer.pt").stat().st_size
    (folder / "model.safetensors").unlink()
    with pytest.raises(ParamtoolError, match=r"holds no model, only optimizer.pt, rng_state.pth"):
        opened(folder)


def test_several_checkpoints_are_named(run: Run, folder: Path) -> None:
    """The error has each with its size, for people and as facts."""
    save_bin(A, folder / "best.pt")
    save_bin({**A, **B}, folder / "last.pt")
    (folder / "optimizer.pt").write_bytes(b"")
    with pytest.raises(SeveralCheckpoints) as caught:
        opened(folder)
    assert [(each.name, each.nbytes) for each in caught.value.candidates] == [
        (name, (folder / name).stat().st_size) for name in ("best.pt", "last.pt")
    ]
    result = run("shared", str(folder))
    assert result.status == 2
    assert result.stderr.startswith(f"error: {folder} has several checkpoints: best.pt (")
    assert result.stderr.endswith(f"kB); name one, as {folder}/best.pt\n")


def test_a_config_alone_is_named_for_what_it_is(run: Run, folder: Path) -> None:
    """It describes a model and holds none; so does the file itself."""
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertModel"]}))
    hint = "for its structure, name a Python function that builds it, as package.module:function\n"
    result = run("inspect", str(folder))
    assert (result.status, result.stderr) == (
        2,
        f"error: {folder} has a config.json, which describes a model, but no tensors; {hint}",
    )
    result = run("inspect", str(folder / "config.json"))
    assert (result.status, result.stderr) == (
        2,
        f"error: {folder}/config.json is the config of a model, without tensors; {hint}",
    )


def test_a_folder_of_folders_is_told(run: Run, folder: Path) -> None:
    """The hint has the folders inside that may be meant."""
    (folder / "checkpoint-5").mkdir()
    save_file(A, folder / "checkpoint-5" / "model.safetensors")
    assert run("inspect", str(folder)).stderr.endswith(
        f"it is a folder, without a model.safetensors or model.safetensors.index.json;"
        f" is it one of {folder}/checkpoint-5?\n"
    )


def test_a_folder_takes_no_key(folder: Path) -> None:
    """Only a distributed checkpoint has parts with names."""
    save_file(A, folder / "model.safetensors")
    with pytest.raises(ParamtoolError, match=r"is a folder, without a 'x'"):
        opened(folder, "x")


def test_the_checks_of_a_safetensors_file_are_told(folder: Path) -> None:
    """Sizes, offsets and gaps of every file, and what no file of the format can say."""
    save_file(A, folder / "model-00001-of-00002.safetensors")
    save_file(B, folder / "model-00002-of-00002.safetensors")
    found = opened(folder)
    told = check_safetensors(found)
    assert told[0] == (
        f"{folder}/model-00001-of-00002.safetensors: the sizes and offsets of 1 tensor fit,"
        " and their 24 B fill the file without a gap; the format has no checksums,"
        " so changed values would not show"
    )
    assert len(told) == 2
    path = folder / "model-00002-of-00002.safetensors"
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ParamtoolError, match="it was cut off"):
        check_safetensors(found)
