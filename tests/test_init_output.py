"""``paramtool init -o``: what is written is whole and checked, or what was there before is."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from paramtool.tensors import streams
from tests.conftest import Run

SPEC = """\
model:
  Module:
    wte: {Embedding: [50, 30]}
    h: {Repeat: {times: 3, module: {Linear: [30, 30]}}}
    norm: {BatchNorm1d: 30}
    low: {Linear: {in_features: 9, out_features: 7, dtype: bfloat16}}
    head: {Linear: {in_features: 30, out_features: 50, bias: false}}
tie: {head.weight: wte.weight}
seed: 3
"""
NORMAL = ("--pattern", "weight", "--normal", "0.02")
OLD = b"the weights that were there before"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a spec, and blocks so small that tensors have several."""
    (tmp_path / "model.yaml").write_text(SPEC)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARAMTOOL_MODEL", raising=False)
    monkeypatch.setattr(streams, "BLOCK", 256)
    return tmp_path


def document(run: Run, *options: str) -> dict[str, Any]:
    """Return the JSON that `init` writes."""
    result = run("init", "model.yaml", *NORMAL, "--json", *options)
    assert result.status == 0, result.stderr
    return dict(json.loads(result.stdout))


def digests(run: Run, *options: str) -> dict[str, str]:
    return {row["name"]: row["sha256"] for row in document(run, *options)["rows"]}


def sha256(tensor: Tensor) -> str:
    return hashlib.sha256(bytes(tensor.contiguous().view(-1).view(torch.uint8).tolist())).hexdigest()


def refusal(run: Run, *options: str) -> str:
    result = run("init", "model.yaml", *NORMAL, *options)
    assert (result.status, result.stdout) == (2, ""), result.stderr
    return result.stderr.removeprefix(
        "note: norm.weight is in a norm layer and gets normal(std=0.02); --exclude skips it\n"
    )


# what is written


@pytest.mark.parametrize(
    "more", [(), ("--jobs", "1"), ("--jobs", "3"), ("--max-shard-size", "4KB")], ids=" ".join
)
def test_the_digests_are_those_of_memory_and_of_the_file(run: Run, more: tuple[str, ...]) -> None:
    """JSON has the SHA-256 of each tensor as it was read back, whatever threads and shards wrote it."""
    target = "out" if "--max-shard-size" in more else "out/w"
    found = digests(run, "-o", target, *more)
    assert found == digests(run)
    files = [path for path in Path("out").iterdir() if path.suffix != ".json"]
    tensors = {name: tensor for path in files for name, tensor in load_file(path).items()}
    assert {name: sha256(tensors[name]) for name in found} == found


@pytest.mark.parametrize("rng", ["streams", "torch"])
def test_a_file_says_how_it_came_to_be(run: Run, rng: str) -> None:
    """Seed, rng, torch's version and the rules are in the metadata, straight to disk or from memory."""
    totals = document(run, "-o", "out/w", "--rng", rng)["totals"]
    with safe_open("out/w", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["paramtool"]) == {
        "seed": 3,
        "rng": rng,
        "torch": torch.__version__,
        "rules": ["--pattern weight normal(std=0.02)"],
    }
    assert (metadata["format"], metadata["head.weight"]) == ("pt", "wte.weight")
    assert (totals["rng"], totals["files"], totals["untouched"]) == (rng, ["out/w"], 5)
    assert totals["nbytes"] == sum(each.nbytes for each in load_file("out/w").values())


def test_the_columns_do_not_tell_the_way_that_was_taken(run: Run) -> None:
    """What goes through memory has the fields of what goes straight to disk."""
    straight, memory = (document(run, "-o", f"out/{rng}", "--rng", rng) for rng in ("streams", "torch"))
    assert [list(row) for row in straight["rows"]] == [list(row) for row in memory["rows"]]
    assert "mean_before" not in straight["rows"][0]


def test_shards_are_what_hugging_face_tools_read(run: Run) -> None:
    """The index names the file of every tensor, and its total is that of all bytes."""
    assert run("init", "model.yaml", *NORMAL, "-o", "new", "--max-shard-size", "4KB").status == 0
    index = json.loads(Path("new/model.safetensors.index.json").read_text())
    tensors = {}
    for file in sorted(set(index["weight_map"].values())):
        found = load_file(f"new/{file}")
        assert {name for name, place in index["weight_map"].items() if place == file} == set(found)
        tensors.update(found)
    assert index["metadata"]["total_size"] == sum(each.nbytes for each in tensors.values())
    assert run("init", "model.yaml", *NORMAL, "-o", "out/w").status == 0
    whole = load_file("out/w")
    assert sorted(whole) == sorted(tensors)
    assert all(torch.equal(each, tensors[name]) for name, each in whole.items())


def test_a_link_is_followed_and_a_mode_is_kept(run: Run) -> None:
    """--force replaces the file behind a link, with its mode; the link stays."""
    Path("out/w").write_bytes(OLD)
    Path("out/w").chmod(0o640)
    Path("link").symlink_to("out/w")
    assert "already exists; --force replaces it" in refusal(run, "-o", "link")
    assert Path("out/w").read_bytes() == OLD
    assert run("init", "model.yaml", *NORMAL, "-o", "link", "--force").status == 0
    assert Path("link").is_symlink()
    assert stat.S_IMODE(Path("out/w").stat().st_mode) == 0o640
    assert "wte.weight" in load_file("out/w")


# what is refused


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["act", "plan"])
def test_where_nothing_can_be_written_is_told(run: Run, dry: tuple[str, ...]) -> None:
    """A missing folder, a folder, a device, a pipe and an existing file are refused, by a plan too."""
    os.mkfifo("pipe")
    Path("old").write_bytes(OLD)
    Path("full").mkdir()
    Path("full/model.safetensors").write_bytes(OLD)
    assert "cannot write nowhere/w: the folder" in refusal(run, "-o", "nowhere/w", *dry)
    assert "cannot write out: it is a folder" in refusal(run, "-o", "out", *dry)
    assert "cannot write /dev/null: it is a device" in refusal(run, "-o", "/dev/null", "--force", *dry)
    assert "cannot write pipe: it is a pipe" in refusal(run, "-o", "pipe", "--force", *dry)
    assert "old already exists; --force replaces it" in refusal(run, "-o", "old", *dry)
    assert "cannot write old: shards go into a folder" in refusal(
        run, "-o", "old", "--max-shard-size", "1KB", *dry
    )
    assert "the folder" in refusal(run, "-o", "no/where", "--max-shard-size", "1KB", *dry)
    assert "full/model.safetensors already exists" in refusal(
        run, "-o", "full", "--max-shard-size", "1KB", *dry
    )
    assert "'5XB'" in refusal(run, "-o", "new", "--max-shard-size", "5XB", *dry)
    assert Path("old").read_bytes() == Path("full/model.safetensors").read_bytes() == OLD
    assert not list(Path("out").iterdir())


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["act", "plan"])
@pytest.mark.parametrize("shards", [(), ("--max-shard-size", "5GB")], ids=["file", "shards"])
def test_more_than_the_disk_has_is_refused_before_anything_is_written(
    run: Run, dry: tuple[str, ...], shards: tuple[str, ...]
) -> None:
    """Weights of four petabytes are refused with both figures, and nothing is left behind."""
    Path("model.yaml").write_text(
        "model: {Repeat: {times: 9, module: {Linear: [10_000_000, 10_000_000]}}}\n".replace("_", "")
    )
    said = refusal(run, "-o", "out/w", *shards, *dry)
    assert "cannot write out/w: it needs 3.6 PB, but only " in said
    assert not list(Path("out").iterdir())


def test_a_plan_for_a_file_says_what_would_be_written(run: Run) -> None:
    """--dry-run with -o shows the plan, tells the size, and writes nothing."""
    result = run("init", "model.yaml", "-p", "wte", "--normal", "1", "-n", "-o", "out/w")
    assert result.stderr == "note: without --dry-run this writes 17.8 kB to out/w\n"
    assert "expected_std" in result.stdout.splitlines()[0]
    result = run(
        "init", "model.yaml", "-p", "wte", "--normal", "1", "-n", "-o", "new", "--max-shard-size", "1KB"
    )
    assert result.status == 0
    assert not list(Path("out").iterdir())
    assert not Path("new").exists()
    assert run("init", "model.yaml", "-p", "wte", "--normal", "1", "-o", "out/w").status == 0
    assert sum(each.nbytes for each in load_file("out/w").values()) == pytest.approx(17_800, abs=50)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--force"], "error: --force requires --output"),
        (["--jobs", "2"], "error: --jobs requires --output"),
        (["--max-shard-size", "5GB"], "error: --max-shard-size requires --output"),
        (["--values", "-o", "out/w"], "error: --values cannot be used with --output"),
        (["--values", "--dry-run"], "error: --values cannot be used with --dry-run, which fills nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_would_do_nothing_is_refused(run: Run, options: list[str], said: str) -> None:
    """An option says what it needs, instead of being ignored."""
    assert refusal(run, *options).startswith(said)
    assert not list(Path("out").iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["act", "plan"])
def test_a_folder_that_may_not_be_written_is_told(run: Run, dry: tuple[str, ...]) -> None:
    """An unwritable folder is an error about the file that was asked for, and a plan finds it."""
    Path("out").chmod(0o500)
    try:
        assert "cannot write out/w: Permission denied" in refusal(run, "-o", "out/w", *dry)
        assert "cannot write out: Permission denied" in refusal(
            run, "-o", "out", "--max-shard-size", "1KB", *dry
        )
    finally:
        Path("out").chmod(0o700)


# what goes wrong on the way


@pytest.mark.parametrize("after", [0, 1, 5, 12])
@pytest.mark.parametrize("shards", [(), ("--max-shard-size", "4KB")], ids=["file", "shards"])
def test_a_disk_that_becomes_full_leaves_the_old_file(
    run: Run, monkeypatch: pytest.MonkeyPatch, after: int, shards: tuple[str, ...]
) -> None:
    """No space at the nth write is one error, the old weights stay, and nothing is left beside them."""
    old = Path("out/model.safetensors")
    old.write_bytes(OLD)
    written = 0
    pwrite = os.pwrite

    def full(*arguments: Any) -> int:
        nonlocal written
        written += 1
        if written > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwrite(*arguments)

    monkeypatch.setattr(os, "pwrite", full)
    said = refusal(run, "-o", "out" if shards else str(old), "--force", *shards)
    assert "No space left on device" in said
    assert said.count("error: ") == 1
    assert [path.name for path in Path("out").iterdir()] == ["model.safetensors"]
    assert old.read_bytes() == OLD


def test_an_element_that_comes_back_otherwise_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that keeps another byte than it was given is found by the digests, and no file appears."""
    pwrite = os.pwrite

    def forgetful(file: int, data: memoryview, position: int) -> int:
        other = bytearray(data)
        if position > 5000:
            other[len(other) // 2] ^= 1
        return pwrite(file, other, position)

    monkeypatch.setattr(os, "pwrite", forgetful)
    said = refusal(run, "-o", "out/w", "--json")
    assert "cannot write out/w: the bytes read back for '" in said
    assert "differ from those written" in said
    assert not list(Path("out").iterdir())


def kills(count: int) -> None:
    """Kill the command `count` times while it writes, and look at the file each time."""
    Path("model.yaml").write_text("model: {Repeat: {times: 20, module: {Linear: [1000, 1000]}}}\n")
    command = [sys.executable, "-m", "paramtool", "init", "model.yaml", "-p", ".", "--normal", "1", "--force"]
    target, choice = Path("out/w"), random.Random(0)
    subprocess.run([*command, "-o", "new"], check=True, stdout=subprocess.DEVNULL)
    new = Path("new").read_bytes()
    seen = set()
    for _ in range(count):
        target.write_bytes(OLD)
        process = subprocess.Popen([*command, "-o", str(target)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(list(target.parent.iterdir())) == 1 and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(choice.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.wait()
        found = target.read_bytes()
        assert found in (OLD, new)
        seen.add(found == new)
    subprocess.run([*command, "-o", str(target)], check=True, stdout=subprocess.DEVNULL)
    assert [path.name for path in target.parent.iterdir()] == ["w"]  # what the killed began is gone
    assert target.read_bytes() == new
    assert seen


def test_a_killed_command_leaves_the_old_file_or_the_new_one() -> None:
    """After a kill the file is one of the two, and the next run removes what was begun."""
    kills(3)


@pytest.mark.slow
def test_a_command_that_is_killed_often_never_leaves_a_torn_file() -> None:
    """Fifty kills at random; `tests/test_files_killed.py` has hundreds, between any two system calls."""
    kills(50)


def test_a_lazy_parameter_is_refused_with_its_name(run: Run, tmp_path: Path) -> None:
    """It has no shape to be written with, whether or not a rule fills it."""
    (tmp_path / "m.yaml").write_text("model: {Sequential: [{LazyLinear: 3}, {Linear: [3, 2]}]}")
    target = tmp_path / "w.safetensors"
    result = run("init", str(tmp_path / "m.yaml"), "--name", "1.bias", "--zeros", "-o", str(target))
    assert (result.status, target.exists()) == (2, False)
    assert "error: '0.weight' is lazy and has no shape; give the spec an 'input'" in result.stderr
