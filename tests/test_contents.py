"""What a checkpoint holds beside its tensors: told in a line, as fields, and as a table of its own."""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from syrupy.assertion import SnapshotAssertion
from torch import nn
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed

import paramtool
from paramtool.errors import CannotAnswer, CannotOpen
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.formats import open_checkpoint
from paramtool.operations.listing.contents import told
from paramtool.records.contents import ContentRow
from tests.conftest import Run
from tests.test_golden import TextFile


class Net(nn.Module):
    """A layer, a norm with buffers, and a buffer that is not in the state_dict."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("mask", torch.ones(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.norm(self.fc(x)))


@pytest.fixture
def golden(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Compare with a file."""
    return snapshot.use_extension(TextFile)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the folder current, and write what training leaves."""
    monkeypatch.chdir(tmp_path)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 4)).sum().backward()
    optimizer.step()
    everything = {
        "state_dict": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": {"last_epoch": 3},
        "epoch": 3,
        "best_acc": 0.91,
        "args": argparse.Namespace(lr=0.1, name="x"),
    }
    torch.save(everything, "train.ckpt")
    torch.save(net, "whole.pt")
    torch.save({"epoch": 3, "args": argparse.Namespace(lr=0.1)}, "none.pt")
    yield tmp_path


NOTE = (
    "note: also in train.ckpt: optimizer 184 B, lr_scheduler, epoch=3, best_acc=0.91,"
    " args (argparse.Namespace)\n"
)


def test_one_note_says_what_else_is_there(run: Run, folder: Path) -> None:
    """Tensors first, then values; whichever command opens it, but for weights to load."""
    for words in (["inspect", "train.ckpt"], ["shared", "train.ckpt"], ["diff", "whole.pt", "train.ckpt"]):
        assert run(*words).stderr == NOTE
    assert run("inspect", "train.ckpt", "--contents").stderr == ""
    Path("model.yaml").write_text(
        "model: {Module: {fc: {Linear: [4, 3]}, norm: {BatchNorm1d: 3}}}\n", encoding="utf-8"
    )
    loaded = run("inspect", "model.yaml", "--weights", "train.ckpt")
    assert (loaded.status, loaded.stderr) == (0, "")
    state = torch.load("train.ckpt", weights_only=False)["state_dict"]
    torch.save({"model": state, "ema": state}, "two.pt")
    loaded = run("inspect", "model.yaml", "--weights", "two.pt")
    assert (loaded.status, loaded.stderr) == (
        0,
        "note: this is 'model'; two.pt:ema is another\n",
    )
    del folder


def test_the_note_is_short_and_has_the_largest_first() -> None:
    """Eight parts are named, and the rest is a number; a long value is cut."""
    parts = [ContentRow(f"n{index}", "int", value=str(index)) for index in range(20)]
    parts += [ContentRow("small", "dict", 2, 10), ContentRow("large", "dict", 2, 2000)]
    parts += [ContentRow("deep.x", "str", value="y" * 100)]
    found = told(Checkpoint("a.pt", (), contents=tuple(parts)))
    assert found == "also in a.pt: large 2.0 kB, small 10 B, n0=0, n1=1, n2=2, n3=3, n4=4, n5=5, 15 more"
    long = told(Checkpoint("a.pt", (), contents=(ContentRow("text", "str", value="y" * 100),)))
    assert long is not None and len(long) < 60 and long.endswith("…")
    assert told(Checkpoint("a.pt", ())) is None


def test_a_number_that_is_a_tensor_is_a_value(run: Run, folder: Path) -> None:
    """A best accuracy that was saved as a tensor is read."""
    torch.save({"state_dict": {"w": torch.ones(2)}, "best": torch.tensor(71.5), "rng": torch.ones(9)}, "a.pt")
    assert run("inspect", "a.pt").stderr == "note: also in a.pt: rng 36 B, best=71.5\n"
    del folder


def test_json_has_everything_as_fields_and_is_read_back(run: Run, folder: Path) -> None:
    """Format, contents, metadata and dtypes; the snapshot says the same as the file."""
    written = run("inspect", "train.ckpt", "--json").stdout
    found = json.loads(written)
    assert (found["format"], found["metadata"]) == ("torch.save", {})
    assert found["contents"][0] == {
        "name": "optimizer", "type": "dict", "tensors": 12, "nbytes": 184, "value": None,
    }  # fmt: skip
    assert [each["value"] for each in found["contents"]] == [None, None, "3", "0.91", None]
    assert found["totals"]["elements"] == found["totals"]["parameters"] == 28
    assert found["totals"]["dtypes"] == {
        "float32": {"elements": 27, "nbytes": 108}, "int64": {"elements": 1, "nbytes": 8},
    }  # fmt: skip
    (folder / "snapshot.json").write_text(written)
    assert run("inspect", "snapshot.json", "--json").stdout == written
    contents = run("inspect", "snapshot.json", "--contents")
    assert contents == run("inspect", "train.ckpt", "--contents")
    report = paramtool.inspect("train.ckpt")
    assert report.origin is not None and report.origin.contents[2].value == "3"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "'format' must be a text, got 3"),
        ({"contents": {}}, "'contents' must be a list, got an object"),
        ({"contents": [3]}, "part 1 must be an object, got 3"),
        ({"contents": [{"name": "x"}]}, "part 1 lacks 'type'"),
        ({"metadata": {"a": 3}}, "'metadata' must map names to texts, got an object"),
    ],
)
def test_a_malformed_origin_is_refused(change: dict[str, Any], message: str, run: Run, folder: Path) -> None:
    """A snapshot is untrusted: each field is checked."""
    content = json.loads(run("inspect", "train.ckpt", "--json").stdout)
    (folder / "s.json").write_text(json.dumps({**content, **change}))
    result = run("inspect", "s.json")
    assert (result.status, result.stdout, result.stderr) == (2, "", f"error: s.json: {message}\n")


@pytest.mark.parametrize("field", ["elements", "dtypes"])
def test_an_older_snapshot_is_read(field: str, run: Run, folder: Path) -> None:
    """What it lacks follows from what it has."""
    written = run("inspect", "train.ckpt", "--json").stdout
    content = json.loads(written)
    del content["totals"][field]
    (folder / "s.json").write_text(json.dumps(content))
    assert json.loads(run("inspect", "s.json", "--json").stdout) == json.loads(written)
    del content["format"], content["contents"], content["metadata"]
    (folder / "s.json").write_text(json.dumps(content))
    assert run("inspect", "s.json").stdout == run("inspect", "train.ckpt").stdout


NO_GROUP = "ignore:torch.distributed is disabled:UserWarning"


@pytest.mark.parametrize("format", ["table", "tree", "json", "jsonl", "csv", "tsv", "markdown"])
@pytest.mark.parametrize("what", ["contents", "folder"])
def test_contents_and_folders_look_the_same(
    what: str, format: str, folder: Path, golden: SnapshotAssertion, run: Run
) -> None:
    """The table of contents and the list of checkpoints, in every format."""
    if what == "contents":
        result = run("inspect", "train.ckpt", "--contents", "--format", format)
    else:
        (folder / "cut.pt").write_bytes(Path("whole.pt").read_bytes()[:500])
        result = run("inspect", ".", "--format", format)
    assert result.status == 0
    assert result.stderr + result.stdout == golden


def test_metadata_are_a_table_of_their_own(run: Run, folder: Path) -> None:
    """Texts of safetensors stand below the parts, and are bounded."""
    save_file({"w": torch.ones(2)}, "m.safetensors", metadata={"format": "pt", "long": "x" * 5000})
    assert run("inspect", "m.safetensors").stderr == ""
    result = run("inspect", "m.safetensors", "--contents")
    assert " format  pt\n" in result.stdout
    assert result.stdout.endswith(
        " 2 texts of metadata beside the tensors; format safetensors\n the tensors: 2 float32 elements, 8 B\n"
    )
    found = json.loads(run("inspect", "m.safetensors", "--json").stdout)
    assert len(found["metadata"]["long"]) == 1000
    save_file({"w": torch.ones(2)}, "plain.safetensors")
    plain = run("inspect", "plain.safetensors", "--contents")
    assert plain.stdout.startswith(" nothing beside the tensors; format safetensors\n")
    del folder


def test_contents_take_no_options_about_tensors(run: Run, folder: Path) -> None:
    """Nothing that was typed is passed over."""
    for words in (["--pattern", "x"], ["--stats"], ["--depth", "1"], ["--module", "a"]):
        result = run("inspect", "train.ckpt", "--contents", *words)
        assert (result.status, result.stdout) == (2, "")
        message = f"--contents shows no tensors, and {words[0]} is about these"
        assert result.stderr == f"error: {message}\n"
    del folder


def test_a_part_without_tensors_shows_its_values(run: Run, folder: Path) -> None:
    """``file.pt:args`` for people; a program gets the fields that it asked for, without rows."""
    result = run("inspect", "train.ckpt:args")
    assert result.stderr == "note: train.ckpt:args has no tensors; this is what it holds\n"
    assert [line.split() for line in result.stdout.splitlines()[2:4]] == [
        ["args.lr", "float", "0.1"], ["args.name", "str", "x"],
    ]  # fmt: skip
    assert run("inspect", "train.ckpt:epoch").stdout.splitlines()[2].split() == ["epoch", "int", "3"]
    assert run("inspect", "none.pt").stdout.splitlines()[2].split() == ["epoch", "int", "3"]
    found = json.loads(run("inspect", "none.pt", "--json").stdout)
    assert (found["command"], found["rows"], len(found["contents"])) == ("inspect", [], 2)
    assert run("inspect", "none.pt", "-f", "csv").stdout.startswith("name,type,shape,")
    del folder


def test_a_part_with_tensors_lists_them(run: Run, folder: Path) -> None:
    """``file.pt:optimizer`` has the moments."""
    result = run("inspect", "train.ckpt:optimizer", "--pattern", "exp_avg$", "-f", "csv")
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == [
        "name", "state.0.exp_avg", "state.1.exp_avg", "state.2.exp_avg", "state.3.exp_avg",
    ]  # fmt: skip
    del folder


@pytest.mark.filterwarnings("ignore:.torch.jit")
@pytest.mark.parametrize("kind", ["whole", "script"])
def test_a_whole_module_says_what_is_what(kind: str, run: Run, folder: Path) -> None:
    """Classes, kinds and the tree are those of the live module; buffers are no parameters."""
    net = torch.load("whole.pt", weights_only=False)
    if kind == "script":
        torch.jit.script(net).save("script.pt")
    report = paramtool.inspect(f"{kind}.pt")
    live = paramtool.inspect(net)
    assert [(row.name, row.type) for row in report if row.is_parameter] == [
        (row.name, row.type) for row in live if row.is_parameter
    ]
    assert report.modules == live.modules
    totals = report.totals
    assert (totals.parameters, totals.elements, totals.buffers) == (21, None, live.totals.buffers)
    assert totals.trainable == (21 if kind == "whole" else None)
    tree = run("inspect", f"{kind}.pt", "-f", "tree", "--buffers").stdout
    assert tree.startswith("Net  (21 parameters, 84 B)\n") and "── norm: BatchNorm1d  (6 par" in tree
    chosen = run("inspect", f"{kind}.pt", "--type", "BatchNorm1d").stdout
    assert "6 parameters in 2 tensors, 24 B" in chosen
    part = paramtool.inspect(f"{kind}.pt", module="norm")
    assert part.modules == {"": "BatchNorm1d"} and part.totals.parameters == 6
    del folder


def test_attributes_of_modules_are_counted_apart_from_the_rest(run: Run, folder: Path) -> None:
    """A whole module beside an epoch: the epoch is named, the layer's own numbers are in the contents."""
    net = nn.Sequential(nn.Linear(2, 2))
    net.note = "mine"  # type: ignore[assignment]
    torch.save({"model": net, "epoch": 3, "ema": nn.Sequential(nn.Linear(2, 2))}, "yolo.pt")
    assert run("inspect", "yolo.pt").stderr.splitlines() == [
        "note: this is 'model'; yolo.pt:ema is another",
        "note: also in yolo.pt: ema 24 B, epoch=3, 1 attribute of modules",
    ]
    result = run("inspect", "yolo.pt", "--contents", "-f", "csv")
    assert "attribute,model.note,str,0,0,mine" in result.stdout.splitlines()
    del folder


def test_what_a_state_dict_has_is_called_elements(run: Run, folder: Path) -> None:
    """In the sentence, in JSON and in what check found; those of a module are parameters."""
    assert run("inspect", "train.ckpt").stdout.endswith(" 28 elements in 7 tensors, 116 B\n")
    (row,) = paramtool.check("train.ckpt", {"parameters": 28})
    assert (row.holds, row.found) == (True, "28 elements")
    (row,) = paramtool.check("whole.pt", {"parameters": 21})
    assert (row.holds, row.found) == (True, "21")
    one = paramtool.check({"w": torch.ones(1)}, {"parameters": 2})
    assert [(each.holds, each.found) for each in one] == [(False, "1 element")]
    del folder


@pytest.mark.filterwarnings(NO_GROUP)
def test_every_format_is_verified(run: Run, folder: Path) -> None:
    """Checksums where there are some; else sizes, and a word on what that is worth."""
    save_file({"w": torch.ones(2)}, "m.safetensors")
    np.savez("plain.npz", w=np.ones(9))
    np.savez_compressed("small.npz", w=np.zeros(10_000))
    torch.save({"w": torch.ones(2)}, "old.pt", _use_new_zipfile_serialization=False)
    save_distributed({"model": {"w": torch.ones(3)}}, checkpoint_id="dcp", no_dist=True)
    for name, words in {
        "train.ckpt": "members in train.ckpt match",
        "m.safetensors": "m.safetensors: the sizes and offsets of 1 tensor fit",
        "plain.npz": "checksums of all 1 members in plain.npz match",
        "small.npz": "checksums of all 1 members in small.npz match",
        "old.pt": "old.pt: the sizes of 1 tensor fit the file; the format has no checksums",
        "dcp": "checksums of 1 chunk in dcp/__0_0.distcp match",
    }.items():
        result = run("inspect", name, "--verify")
        assert (result.status, words in result.stderr) == (0, True), result.stderr
    del folder


@pytest.mark.filterwarnings(NO_GROUP)
@pytest.mark.parametrize("name", ["small.npz", "dcp"])
def test_a_flipped_bit_is_found_in_every_format_with_sums(name: str, run: Run, folder: Path) -> None:
    """Compressed members and the chunks of a distributed checkpoint have sums too."""
    np.savez_compressed("small.npz", w=np.arange(1000.0))
    save_distributed({"model": {"w": torch.arange(3000.0)}}, checkpoint_id="dcp", no_dist=True)
    path = folder / name if name == "small.npz" else next((folder / name).glob("*.distcp"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = run("inspect", name, "--verify")
    assert result.status == 2 and f"checksum mismatch in {name}" in result.stderr


def test_a_bomb_is_not_expanded_to_be_verified(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compressed member has a limit, whatever its size says."""
    np.savez_compressed("small.npz", w=np.zeros(10_000))
    monkeypatch.setattr("paramtool.files.reading.zip_directory.LARGEST_EXPANDED", 1000)
    result = run("inspect", "small.npz", "--verify")
    assert (result.status, "expands to too many bytes" in result.stderr) == (2, True)
    with zipfile.ZipFile("small.npz") as archive:
        assert archive.testzip() is None
    del folder


def test_a_folder_lists_its_checkpoints_and_other_commands_ask(run: Run, folder: Path) -> None:
    """The list has what each holds; everything else takes one of them."""
    result = run("inspect", ".", "-f", "csv")
    assert result.stdout.splitlines() == [
        "name,format,tensors,elements,nbytes,note",
        "none.pt,torch.save,0,0,0,",
        "train.ckpt,torch.save,7,28,116,",
        "whole.pt,torch.save,8,30,124,",
    ]
    assert result.stderr == "note: . has several checkpoints; name one, e.g. train.ckpt\n"
    for words in (
        ["inspect", ".", "--stats"], ["inspect", ".", "--contents"], ["inspect", ".", "--verify"],
        ["shared", "."], ["diff", ".", "whole.pt"], ["check", ".", "--parameters", "3"],
        ["init", ".", "-p", ".", "--zeros"], ["grad", "."],
    ):  # fmt: skip
        refused = run(*words)
        assert (refused.status, refused.stdout) == (2, ""), words
        assert refused.stderr.startswith("error: . has several checkpoints: none.pt ("), words
        assert refused.stderr.count("\n") == 1
    with pytest.raises(CannotOpen, match="several checkpoints"):
        paramtool.inspect(folder)


def test_a_safetensors_file_among_others_is_shown_with_a_word(run: Run, folder: Path) -> None:
    """Pickles of other names beside it are not passed over in silence."""
    save_file({"w": torch.ones(2)}, "m.safetensors")
    result = run("inspect", ".")
    assert result.stderr == "note: this is m.safetensors; . also has none.pt, train.ckpt, whole.pt\n"
    del folder


def test_only_checkpoints_have_contents(run: Run, folder: Path) -> None:
    """A spec and a snapshot refuse, in a line."""
    Path("model.yaml").write_text("model: {Linear: [1, 1]}\n")
    (folder / "s.json").write_text(run("inspect", "model.yaml", "--json").stdout)
    for name in ("model.yaml", "s.json", "torch.nn:Identity"):
        result = run("inspect", name, "--contents")
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {name} is not a checkpoint")
    with pytest.raises(CannotAnswer):
        paramtool.open("model.yaml").inside()


def test_tensors_without_values_keep_their_rows(run: Run, folder: Path) -> None:
    """One note per reason, with the names folded."""
    state = {f"h.{index}.w": torch.empty(2, device="meta") for index in range(9)}
    torch.save({**state, "s": torch.eye(2).to_sparse(), "w": torch.ones(2)}, "meta.pt")
    result = run("inspect", "meta.pt", "--stats", "--values", "-f", "csv")
    assert result.stderr.splitlines() == [
        "note: without values: h.{0..8}.w (on the meta device)",
        "note: without values: s (sparse (COO))",
    ]
    assert len(result.stdout.splitlines()) == 12
    del folder


def test_versions_are_those_of_the_state_dict(folder: Path) -> None:
    """``_metadata`` says the version of each module; whatever else it may be is passed over."""
    net = Net()
    state = net.state_dict()
    metadata = {path: each["version"] for path, each in state._metadata.items()}  # type: ignore[attr-defined]
    assert open_checkpoint("train.ckpt").versions == metadata == {"": 1, "fc": 1, "norm": 2}
    assert open_checkpoint("train.ckpt").below("norm").versions == {"": 2}
    for odd in (3, [1], {"norm": 3}, {"norm": {"version": "2"}}, {"norm": {"version": 1 << 80}}):
        state._metadata = odd  # type: ignore[attr-defined]
        torch.save(state, "odd.pt")
        assert open_checkpoint("odd.pt").versions == {}
    del folder


class _CallsInt:
    """Pickles as a call of int with a text, which no pickler writes."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return int, ("12",)


def test_an_integer_of_thousands_of_digits_is_shown_by_its_size(run: Run, tmp_path: Path) -> None:
    """It is not kept, and no other number stands in its place; a call of int is no such thing."""
    path = tmp_path / "huge.pt"
    torch.save({"n": 10**5000, "odd": _CallsInt(), "w": torch.ones(2)}, path)
    result = run("inspect", str(path), "--contents", "--format", "csv")
    assert result.status == 0
    assert 'n,int,0,0,"an integer of 2,077 bytes"' in result.stdout
    assert "odd,long,0,0,long(12)" in result.stdout  # as Python 2 called it
