"""Checkpoints that are odd but real: old protocols, names that meet, unreadable values, odd folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from paramtool import diff, inspect
from paramtool.files.reading.formats import open_checkpoint
from tests.conftest import Run

W = torch.arange(3.0)
COMPLEX = torch.tensor([1 + 2j])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(protocol: int, is_zip: bool) -> None:
    """Also 0 and 1, of which torch refuses the first itself: a persistent id is a printed tuple there."""
    state = {"w": W, "half": torch.ones(2).half(), "view": W[1:]}
    torch.save(state, "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=is_zip)
    rows = {row.name: row for row in inspect("w.pt", values=True)}
    assert [row.dtype for row in rows.values()] == ["float32", "float16", "float32"]
    assert {name: row.values and row.values.values for name, row in rows.items()} == {
        name: tuple(tensor.tolist()) for name, tensor in state.items()
    }


def test_names_that_meet_are_both_shown(run: Run) -> None:
    """``a.b`` beside ``b`` in ``a``: neither is lost, and a note says which is which."""
    torch.save({"a.b": W, "a": {"b": W * 2}, "c": W}, "w.pt")
    result = run("inspect", "w.pt", "-f", "csv")
    assert [line.split(",")[0] for line in result.stdout.splitlines()[1:]] == ["a.b", "a.b (2)", "c"]
    assert result.stderr == (
        "note: two tensors are named 'a.b' by their keys; the second is shown as 'a.b (2)'\n"
    )


def test_a_deep_state_dict_says_where_it_is(run: Run) -> None:
    torch.save({"run": {"best": {"w": W}}}, "w.pt")
    assert "note: this is 'run.best' in w.pt\n" in run("inspect", "w.pt").stderr
    assert "this is" not in run("inspect", "w.pt:run.best").stderr


def unread(kind: str) -> torch.Tensor:
    return COMPLEX.conj() if kind == "conjugated" else torch.eye(2).to_sparse()


@pytest.mark.parametrize("kind", ["conjugated", "sparse"])
def test_values_that_cannot_be_read_do_not_hide_the_others(kind: str, run: Run) -> None:
    """What is left out is named; and what was not looked at is not called the same, or finite."""
    torch.save({"w": W, "odd": unread(kind), "b": W + 0}, "a.pt")
    torch.save({"w": W, "odd": unread(kind), "b": W * 2}, "b.pt")
    torch.save({"w": W * torch.nan, "odd": unread(kind)}, "nan.pt")
    said = "the values of 'odd' cannot be read"
    result = run("diff", "a.pt", "b.pt", "--values", "--json")
    document = json.loads(result.stdout)
    assert (result.status, [row["name"] for row in document["rows"]]) == (1, ["b"])
    assert document["totals"]["uncompared"] == ["odd"]
    assert f"note: {said}, so they are not compared\n" in result.stderr
    result = run("diff", "a.pt", "a.pt", "--values")
    assert (result.status, "except those of 1 tensor" in result.stdout) == (2, True)
    assert f"error: {said}, so they are not compared" in result.stderr
    assert run("diff", "a.pt", "a.pt", "--values", "--exclude", "odd").status == 0
    result = run("check", "a.pt", "--finite")
    assert (result.status, result.stdout) == (2, "")
    assert f"{said}; the other 2 are finite" in result.stderr
    result = run("check", "nan.pt", "--finite")
    assert (result.status, "3 NaN" in result.stdout) == (1, True)
    assert [row.mean for row in inspect("a.pt", stats=True)] == [1.0, None, 1.0]
    assert diff("a.pt", "a.pt", values=True).totals.uncompared == ("odd",)


def test_live_tensors_without_values_are_left_out_too() -> None:
    state = {"w": W, "odd": torch.ones(2, device="meta")}
    report = diff(state, {**state, "w": W * 2}, values=True)
    assert ([row.name for row in report], report.totals.uncompared) == (["w"], ("odd",))


@pytest.mark.parametrize("end", [".pt", ".bin", ".safetensors", ".npz", ".gguf", ".pkl", ".h5", ".distcp"])
def test_an_empty_file_is_called_empty(end: str, run: Run) -> None:
    Path(f"w{end}").touch()
    result = run("inspect", f"w{end}")
    said = f"error: w{end} is empty: it has 0 bytes; was the download or the save broken off?\n"
    assert (result.status, result.stderr) == (2, said)


def test_a_file_that_ends_inside_its_pickle_was_cut_off(run: Run) -> None:
    for protocol in (0, 1, 2, 4):
        torch.save({"w": W}, "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        content = Path("w.pt").read_bytes()
        for size in range(40, len(content), 7):
            Path("cut.pt").write_bytes(content[:size])
            result = run("inspect", "cut.pt")
            assert (result.status, "cut off" in result.stderr) == (2, True), (protocol, size, result.stderr)
    Path("odd.pt").write_bytes(content[:100] + b"\xff" * 40 + content[100:])
    assert "its pickle is broken" in run("inspect", "odd.pt").stderr


def test_folders_without_a_model_say_what_they_are(run: Run) -> None:
    Path("empty").mkdir()
    Path("lone").mkdir()
    Path("lone/__0_0.distcp").write_bytes(b"PK")
    cached = Path("home/hub/models--a--b/snapshots/0123")
    cached.mkdir(parents=True)
    (cached.parents[1] / "blobs").mkdir()
    said = {
        "empty": "empty is an empty folder",
        "lone": "lone has __0_0.distcp but no .metadata, which says what is in it; copy .metadata there too",
        "lone/__0_0.distcp": "lone/__0_0.distcp is one piece of a distributed checkpoint; name its folder",
        **{
            str(each): f"{each} is a part of Hugging Face's cache; name a snapshot, e.g. {cached}\n"
            for each in (cached.parents[1], cached.parents[2], cached.parents[3])
        },
    }
    for name, message in said.items():
        result = run("inspect", name)
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {message}"), name


def test_compressed_arrays_are_named(run: Run) -> None:
    np.savez_compressed("c.npz", w=np.ones(3, "f4"))
    result = run("diff", "c.npz", "c.npz", "--values")
    assert (result.status, "the values of 'w' cannot be read" in result.stderr) == (2, True)
    assert open_checkpoint("c.npz").tensors[0].missing == "compressed in its archive"
