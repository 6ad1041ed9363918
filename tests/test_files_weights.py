"""Weights are written in pieces, and appear whole: one file, or a folder of shards and their index."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from paramtool.errors import ParamtoolError
from paramtool.files.writing.weights import Entry, Incomplete, WeightsWriter
from paramtool.quantities import byte_size
from tests.test_files_format import assert_same, content, save

ENTRIES = [Entry(f"layer.{number}", "float32", (number, 10)) for number in (3, 1, 4, 1 + 4, 9, 2, 6)]
INDEX = "model.safetensors.index.json"


def names(folder: Path) -> list[str]:
    """Return the names of all files in `folder`, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def save_shards(folder: Path, entries: Sequence[Entry], most: int, *, force: bool = False) -> list[str]:
    """Write `entries` to shards of at most `most` bytes, and return the names of the files."""
    with WeightsWriter(folder, entries, max_shard_size=most, force=force) as writer:
        for entry in entries:
            writer.write(entry.name, 0, content(entry))
    return [path.name for path in writer.files]


def load(folder: Path) -> dict[str, torch.Tensor]:
    """Read `folder` as Hugging Face's tools do: the whole file if there is one, else by the index."""
    if (folder / "model.safetensors").exists():
        with safe_open(folder / "model.safetensors", "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    found = {}
    for name, shard in json.loads((folder / INDEX).read_text())["weight_map"].items():
        with safe_open(folder / shard, "pt") as file:
            found[name] = file.get_tensor(name)
    return found


def assert_holds(folder: Path, entries: Sequence[Entry]) -> None:
    """Fail where the folder does not hold `entries` with their content."""
    found = load(folder)
    assert found.keys() == {entry.name for entry in entries}
    for entry in entries:
        assert_same(found[entry.name], entry)


def test_pieces_come_in_any_order_from_any_thread(tmp_path: Path) -> None:
    """Four threads that write small pieces in random order make the same bytes as one in order."""
    save(tmp_path / "one", ENTRIES)
    pieces = [(each, at, at + 13) for each in ENTRIES for at in range(0, each.nbytes, 13)]
    random.Random(0).shuffle(pieces)
    with WeightsWriter(tmp_path / "many", ENTRIES) as writer:

        def work(share: int) -> None:
            for entry, begin, end in pieces[share::4]:
                writer.write(entry.name, begin, content(entry)[begin:end])

        threads = [threading.Thread(target=work, args=(share,)) for share in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    assert names(tmp_path) == ["many", "one"]


def test_any_buffer_can_be_written(tmp_path: Path) -> None:
    """Bytes, a reused bytearray, and typed or many-dimensional views are written as their bytes are."""
    numbers = memoryview(bytearray(content(Entry("", "float32", (6,))))).cast("f")
    entries = [
        Entry("bytes", "float32", (2, 3)),
        Entry("view", "float32", (6,)),
        Entry("none", "float32", (0,)),
    ]
    with WeightsWriter(tmp_path / "a", entries) as writer:
        writer.write("bytes", 0, numbers.tobytes())
        writer.write("view", 0, numbers.cast("B").cast("f", (2, 3)))
        writer.write("none", 0, b"")
        with pytest.raises(ValueError, match="contiguous"):
            writer.write("view", 0, numbers[::2])
    with safe_open(tmp_path / "a", "pt") as file:
        assert torch.equal(file.get_tensor("bytes").reshape(-1), torch.tensor(numbers.tolist()))
        assert torch.equal(file.get_tensor("view"), torch.tensor(numbers.tolist()))


def test_missing_bytes_are_refused_at_the_end(tmp_path: Path) -> None:
    """A tensor that was not written to its last byte is named, and no file appears."""
    with (
        pytest.raises(Incomplete, match=r"'layer.3' was not written completely: 20 bytes are missing"),
        WeightsWriter(tmp_path / "a", ENTRIES) as writer,
    ):
        for entry in ENTRIES:
            writer.write(entry.name, 0, content(entry)[: 100 if entry is ENTRIES[0] else None])
    assert names(tmp_path) == []


@pytest.mark.parametrize(("start", "size"), [(-1, 2), (39, 2), (41, 0)])
def test_a_piece_outside_its_tensor_is_refused(start: int, size: int, tmp_path: Path) -> None:
    """A piece cannot run into the tensor beside it."""
    with (
        pytest.raises(ValueError, match=r"are not in 'layer.1', which has 40"),
        WeightsWriter(tmp_path / "a", ENTRIES) as writer,
    ):
        writer.write("layer.1", start, bytes(size))
    assert names(tmp_path) == []


def test_a_file_that_changed_underneath_is_refused(tmp_path: Path) -> None:
    """A header that does not come back as it was written keeps the file from its place."""
    with (
        pytest.raises(ParamtoolError, match=r"the bytes read back differ from those written"),
        WeightsWriter(tmp_path / "a", ENTRIES) as writer,
    ):
        for entry in ENTRIES:
            writer.write(entry.name, 0, content(entry))
        (temporary,) = tmp_path.iterdir()
        os.truncate(temporary, 100)
    assert names(tmp_path) == []


@pytest.mark.parametrize("most", [None, 10**9, 300])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path: Path, most: int | None, error: type[BaseException]) -> None:
    """Neither temporary files nor a folder that was created stay after an exception."""
    with pytest.raises(error), WeightsWriter(tmp_path / "a", ENTRIES, max_shard_size=most) as writer:
        writer.write("layer.3", 0, bytes(10))
        assert names(tmp_path) != []
        raise error
    assert names(tmp_path) == []


def test_the_total_is_that_of_the_tensors(tmp_path: Path) -> None:
    """Before anything is written the writer says which files there will be, and how large."""
    writer = WeightsWriter(tmp_path / "a", ENTRIES, max_shard_size=300)
    assert byte_size(writer.total_size) == "1.2 kB"
    assert [path.name for path in writer.files][-1] == INDEX
    assert names(tmp_path) == []


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["float32", "uint8"]), st.integers(0, 9)), max_size=8),
    st.integers(1, 40),
)
def test_shards_hold_every_tensor_once(tensors: list[tuple[str, int]], most: int) -> None:
    """Whatever the limit, a reader finds every tensor, no shard with two is over it, and order is kept."""
    entries = [Entry(f"t{number}", dtype, (size,)) for number, (dtype, size) in enumerate(tensors)]
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "weights"
        files = save_shards(folder, entries, most)
        assert_holds(folder, entries)
        assert names(folder) == sorted(files)
        sizes = {entry.name: entry.nbytes for entry in entries}
        stored: list[str] = []
        for shard in sorted(set(files) - {INDEX}):
            with safe_open(folder / shard, "pt") as file:
                inside = sorted(file.keys(), key=lambda name: int(name[1:]))
            stored += inside
            assert len(inside) == 1 or sum(sizes[name] for name in inside) <= most
        assert stored == [entry.name for entry in entries]


def test_shards_and_index_are_called_as_hugging_face_calls_them(tmp_path: Path) -> None:
    """The index is the JSON that Hugging Face's tools write, to the byte."""
    entries = ENTRIES[:3]
    files = save_shards(tmp_path / "a", entries, 160)
    assert files == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", INDEX]
    text = (tmp_path / "a" / INDEX).read_text()
    meant = {
        "metadata": {"total_size": 320},
        "weight_map": {"layer.1": files[0], "layer.3": files[0], "layer.4": files[1]},
    }
    assert text == json.dumps(meant, indent=2, sort_keys=True) + "\n"


def test_what_fits_into_one_shard_has_no_index(tmp_path: Path) -> None:
    """A model below the limit is one file with the plain name."""
    assert save_shards(tmp_path / "a", ENTRIES, 10**6) == ["model.safetensors"]
    assert names(tmp_path / "a") == ["model.safetensors"]


@pytest.mark.parametrize("before", [100, 300, 310, 10**6])
@pytest.mark.parametrize("after", [100, 300, 10**6])
def test_older_shards_go_only_with_force(tmp_path: Path, before: int, after: int) -> None:
    """Weights in the folder stay without force, and with it nothing of them is left; other files stay."""
    older = [Entry(f"old.{entry.name}", entry.dtype, entry.shape) for entry in ENTRIES]
    save_shards(tmp_path, older, before)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ParamtoolError, match="already exists"):
        save_shards(tmp_path, ENTRIES, after)
    assert_holds(tmp_path, older)
    files = save_shards(tmp_path, ENTRIES, after, force=True)
    assert_holds(tmp_path, ENTRIES)
    assert names(tmp_path) == sorted([*files, "config.json"])


@pytest.mark.parametrize("index", [b"", b"[]", b'{"weight_map": 3}'])
def test_an_index_that_is_none_is_replaced(tmp_path: Path, index: bytes) -> None:
    """With force a broken index is no obstacle."""
    save_shards(tmp_path, ENTRIES, 300)
    (tmp_path / INDEX).write_bytes(index)
    files = save_shards(tmp_path, ENTRIES, 300, force=True)
    assert_holds(tmp_path, ENTRIES)
    assert names(tmp_path) == sorted(files)


def test_a_shard_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """What a link in the folder names, say in a shared cache, is not replaced."""
    (tmp_path / "blob").write_bytes(b"x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "model.safetensors").symlink_to("../blob")
    with pytest.raises(ParamtoolError, match="symbolic link"):
        save_shards(tmp_path / "a", ENTRIES, 10**6, force=True)
    assert (tmp_path / "blob").read_bytes() == b"x"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A file in the folder's place, a missing parent and a limit of nothing are refused."""
    (tmp_path / "file").write_bytes(b"x")
    for target, most, words in (
        (tmp_path / "file", 300, "shards go into a folder"),
        (tmp_path / "missing" / "a", 300, "does not exist"),
        (tmp_path / "a", 0, "0 bytes"),
    ):
        with pytest.raises(ParamtoolError, match=words):
            save_shards(target, ENTRIES, most, force=True)
    with pytest.raises(ParamtoolError, match="it is a folder"):
        save(tmp_path, ENTRIES)
    assert names(tmp_path) == ["file"]


def test_an_error_of_the_disk_leaves_the_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk fails in the middle the older shards can be read, and the path is told."""

    def fail(*_: object) -> int:
        raise OSError(5, "Input/output error")

    save_shards(tmp_path, ENTRIES, 300)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patched, pytest.raises(ParamtoolError, match=r"model-.*Input/output error"):
        patched.setattr(os, "fsync", fail)
        save_shards(tmp_path, ENTRIES, 300, force=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_elements_are_read_back_for_their_digests(tmp_path: Path) -> None:
    """Whatever the order of the pieces and the threads, a digest is that of the tensor's bytes in order."""
    data = bytes(range(256)) * 16
    entries = [Entry("a", "uint8", (len(data),)), Entry("none", "float32", (0,)), Entry("b", "uint8", (3,))]
    for jobs in (1, 4):
        writer = WeightsWriter(tmp_path / "w", entries, force=True)
        writer.read_elements(jobs)
        with writer:
            for start in (1024, 0, 3072, 2048):
                writer.write("a", start, data[start : start + 1024])
            writer.write("b", 0, b"abc")
        assert writer.digests == {
            "a": hashlib.sha256(data).hexdigest(),
            "none": hashlib.sha256(b"").hexdigest(),
            "b": hashlib.sha256(b"abc").hexdigest(),
        }
    with WeightsWriter(tmp_path / "w", entries[2:], force=True) as plain:
        plain.write("b", 0, b"abc")
    assert plain.digests == {}


def test_a_piece_that_another_overwrote_is_found(tmp_path: Path) -> None:
    """Bytes that are written twice, and others never, do not come back as they were written."""
    writer = WeightsWriter(tmp_path / "w", [Entry("a", "uint8", (4,))])
    writer.read_elements(1)
    with pytest.raises(ParamtoolError, match="the bytes read back for 'a' differ from those written"), writer:
        writer.write("a", 0, b"xx")
        writer.write("a", 0, b"yy")
    assert list(tmp_path.iterdir()) == []


def test_a_check_creates_nothing(tmp_path: Path) -> None:
    """What entering would refuse is refused, and what it would create is not there."""
    entries = [Entry("a", "uint8", (4,))]
    for most in (None, 1024):
        target = tmp_path / "new"
        WeightsWriter(target, entries, max_shard_size=most).check()
        assert not target.exists()
    (tmp_path / "model.safetensors").write_bytes(b"old")
    for target, limit in ((tmp_path / "model.safetensors", None), (tmp_path, 1024)):
        with pytest.raises(ParamtoolError, match="safetensors already exists"):
            WeightsWriter(target, entries, max_shard_size=limit).check()
        WeightsWriter(target, entries, max_shard_size=limit, force=True).check()
    assert [each.name for each in tmp_path.iterdir()] == ["model.safetensors"]
