"""Files of strangers: each is read or refused in a line, in bounded time and memory, and none is run."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from paramtool.elements import repetition
from paramtool.elements.files import FileElements
from paramtool.elements.strided import Region
from paramtool.errors import ParamtoolError
from paramtool.files.reading import checkpoint, pickled_file, safetensors_header, sharded
from paramtool.files.reading import safetensors as safetensors_file
from paramtool.files.reading.open_file import OpenFile
from paramtool.models.open import open_checkpoint
from paramtool.operations.listing.checkpoint import stored
from tests.conftest import Run
from tests.processes import watch

MEGABYTES = 200
"""Memory that a refusal may take: the command line itself takes 50."""


def header(**tensors: Any) -> dict[str, Any]:
    """Return a header of tensors, each a dtype, a shape and two offsets."""
    keys = ("dtype", "shape", "data_offsets")
    return {name: dict(zip(keys, each, strict=True)) for name, each in tensors.items()}


def safetensor(head: dict[str, Any] | str | bytes, data: int = 0, length: int | None = None) -> bytes:
    """Return a file with that header and so many bytes of data."""
    text = head if isinstance(head, bytes) else (head if isinstance(head, str) else json.dumps(head)).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(data)


F32 = ("F32", [2], [0, 8])
ONE = '"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'

SAFETENSORS: dict[str, tuple[bytes, str]] = {
    "header of 100 GB": (
        safetensor("{}", length=10**11),
        "a header of 100,000,000,000 bytes; at most 100,000,000",
    ),
    "header beyond the file": (safetensor("{}", length=1000), "a header of 1,000 bytes in a file of 10"),
    "half a length": (b"\x02\0\0", "it ends too early"),
    "overlap": (safetensor(header(a=F32, b=("F32", [2], [4, 12])), 12), "the tensor 'b' overlaps another"),
    "same place": (safetensor(header(a=F32, b=F32), 8), "the tensor 'b' overlaps another"),
    "hole": (
        safetensor(header(a=F32, b=("F32", [1], [12, 16])), 16),
        "the tensor 'b' leaves a hole before it",
    ),
    "hole at the start": (
        safetensor(header(a=("F32", [1], [4, 8])), 8),
        "the tensor 'a' leaves a hole before it",
    ),
    "truncated": (safetensor(header(a=F32), 7), "its tensors need 8 bytes, and it has 7; it was cut off"),
    "trailing": (safetensor(header(a=F32), 9), "1 byte follows its last tensor"),
    "duplicate tensor": (safetensor(f"{{{ONE}, {ONE}}}", 8), "the tensor 'a' appears twice"),
    "duplicate field": (
        safetensor('{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}', 8),
        "the tensor 'a': a field appears twice",
    ),
    "NaN offset": (
        safetensor(header(a=("F32", [2], [float("nan"), 8])), 8),
        "the tensor 'a': NaN is not a number",
    ),
    "fraction": (
        safetensor(header(a=("F32", [2], [0.0, 8])), 8),
        "its data_offsets is not a list of integers",
    ),
    "truth as a size": (
        safetensor(header(a=("F32", [True], [0, 4])), 4),
        "its shape is not a list of integers",
    ),
    "negative offset": (safetensor(header(a=("F32", [2], [-8, 0])), 8), "a number below 0 or beyond 64 bits"),
    "negative size": (safetensor(header(a=("F32", [-2], [0, 8])), 8), "a number below 0 or beyond 64 bits"),
    "backward offsets": (
        safetensor(header(a=("F32", [2], [8, 0])), 8),
        "its data_offsets are not a begin and an end",
    ),
    "three offsets": (
        safetensor(header(a=("F32", [2], [0, 4, 8])), 8),
        "its data_offsets are not a begin and an end",
    ),
    "huge number": (
        safetensor(header(a=("F32", [10**4000], [0, 8])), 8),
        "a number below 0 or beyond 64 bits",
    ),
    "rank 10,000": (
        safetensor(header(a=("F32", [1] * 10_000, [0, 4])), 4),
        "its description is longer than 4,096",
    ),
    "rank 65": (safetensor(header(a=("F32", [1] * 65, [0, 4])), 4), "65 dimensions; at most 64"),
    "product that overflows": (
        safetensor(header(a=("F32", [2**62, 2**62], [0, 0]))),
        "no memory holds its shape",
    ),
    "empty and too large": (
        safetensor(header(a=("F32", [0, 2**62, 2**62], [0, 0]))),
        "no memory holds its shape",
    ),
    "another size": (safetensor(header(a=("F64", [2], [0, 8])), 8), "its shape needs 16 bytes, and it has 8"),
    "unknown dtype": (
        safetensor(header(a=("F5", [2], [0, 1])), 1),
        "the safetensors format has no dtype F5",
    ),
    "dtype of another kind": (
        safetensor(header(a=([], [2], [0, 1])), 1),
        "the safetensors format has no dtype []",
    ),
    "one field": (safetensor('{"a": {"dtype": "F32"}}'), "it lacks one of dtype, shape and data_offsets"),
    "half a pair": (
        safetensor(header(a=("F4", [2, 3], [0, 3])), 3),
        "its last size is odd, and two elements share",
    ),
    "half a byte": (safetensor(header(a=("F4", [3], [0, 1])), 1), "12 bits, which are not whole bytes"),
    "a number for a tensor": (safetensor('{"a": 3}'), "expected { at character 6 of its header, found 3"),
    "an object in a tensor": (safetensor('{"a": {"shape": {}, "b": {}}}'), "the tensor 'a': "),
    "a list": (safetensor("[]"), "expected { at character 0 of its header, found ["),
    "no end": (safetensor('{"a"'), "expected : at character 4 of its header, found nothing"),
    "nothing": (safetensor(""), "expected { at character 0 of its header, found nothing"),
    "more after it": (safetensor("{} {}"), "expected the end at character 3 of its header, found {"),
    "no UTF-8": (safetensor(b'{"\xff": {}}'), "its header is not UTF-8"),
    "half a surrogate": (safetensor('{"\\ud800": {}}'), "its header is not UTF-8"),
    "metadata of numbers": (safetensor('{"__metadata__": {"a": 1}}'), 'expected " at character 23'),
    "metadata twice": (safetensor('{"__metadata__": {}, "__metadata__": {}}'), "its metadata appear twice"),
    "a key of it twice": (
        safetensor('{"__metadata__": {"a": "", "a": ""}}'),
        "'a' appears twice in its metadata",
    ),
    "a tensor called metadata": (
        safetensor('{"__metadata__": {"dtype": "F32", "shape": []}}'),
        'expected " at',
    ),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_a_broken_safetensors_file_is_told(case: str, run: Run, tmp_path: Path) -> None:
    """Every way in which a header can be wrong is an error of one line, which says what is."""
    content, message = SAFETENSORS[case]
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    result = run("inspect", str(path))
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {path} is not a valid safetensors file: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_good_safetensors_files_pass(run: Run, tmp_path: Path) -> None:
    """The checks refuse nothing that the format allows: order, space, metadata, empty and scalar tensors."""
    path = tmp_path / "w.safetensors"
    head = (
        ' {"__metadata__" : {"}":"{\\u00e9"} ,\n"b":{"shape":[],"data_offsets":[8,12],"dtype":"F32"},' + ONE
    )
    path.write_bytes(safetensor(f'{head},"e":{{"dtype":"I8","shape":[0,3],"data_offsets":[12,12]}}}}   ', 12))
    with safetensors.safe_open(path, "pt") as file:
        assert sorted(file.keys()) == ["a", "b", "e"]
    assert "3 elements in 3 tensors, 12 B\n" in run("inspect", str(path)).stdout


OTHERS: dict[str, tuple[str, bytes, str]] = {
    "LFS pointer": (
        "w.safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "is a Git LFS pointer; 'git lfs pull' gets the file itself",
    ),
    "web page": ("w.pt", b"\n<!DOCTYPE html><html>404</html>", "is a web page, not the file itself"),
    "HTML": ("w.safetensors", b"<HTML>", "is a web page, not the file itself; the download went wrong"),
    "GGUF": ("w.bin", b"GGUF\3\0\0\0", "is not a valid GGUF file: it was cut off"),
    "HDF5": ("model.h5", b"\x89HDF\r\n\x1a\n", "is in the HDF5 format, as Keras writes"),
    "ONNX": ("model.onnx", b"\x08\x07\x12\x07pytorch", "is in the ONNX format"),
    "NumPy": ("w.npy", b"\x93NUMPY\1\0", "is not a valid NumPy array: it does not begin like one"),
    "gzip": ("w.pt.gz", b"\x1f\x8b\x08", "is compressed; decompress it first"),
    "zstd": ("w.zst", b"\x28\xb5\x2f\xfd", "is compressed; decompress it first"),
    "half a pickle": ("w.pt", pickle.dumps({"a": 1})[:9], "its pickle"),
    "cut off": ("w.pt", b"PK\x03\x04 and then nothing", "it ends without a directory; it was cut off"),
    "nothing": ("w.bin", b"", "is empty: it has 0 bytes"),
    "noise": ("w.pth", bytes(range(256)), "is not a file that torch.save writes"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_another_format_is_named(case: str, run: Run, tmp_path: Path) -> None:
    """A file of a known format that is not read is told by its name, with what to do."""
    name, content, message = OTHERS[case]
    (tmp_path / name).write_bytes(content)
    result = run("inspect", str(tmp_path / name))
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_checkpoint_is_not_piped(tmp_path: Path) -> None:
    """Standard input is a spec or a snapshot; the elements of a checkpoint are read here and there."""
    ended = watch("inspect", "-", folder=tmp_path, stdin=safetensors_content())
    assert (ended.status, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: <stdin> is a checkpoint, which is not read through a pipe; ")
    assert ended.stderr.endswith("; give a checkpoint by name\n")


def test_the_oldest_formats_of_torch_are_named(run: Run, tmp_path: Path) -> None:
    """The tar before 0.2 and the first TorchScript are refused, with what to do."""
    tar, script = tmp_path / "tar.pt", tmp_path / "script.pt"
    with tarfile.open(tar, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    with zipfile.ZipFile(script, "w") as file:
        file.writestr("m/model.json", "{}")
    for path, message in (
        (tar, "is a tar archive, as torch wrote before 0.2; if you trust it, load it and save"),
        (script, "is a TorchScript archive of torch before 1.4; if you trust it, save it again"),
    ):
        result = run("inspect", str(path))
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {path} {message}")


# folders and indexes


def shards(folder: Path, weight_map: Any, **files: list[str]) -> Path:
    """Write shards that hold tensors of those names, and an index; return the index."""
    folder.mkdir(exist_ok=True)
    for name, tensors in files.items():
        safetensors.torch.save_file({each: torch.ones(1) for each in tensors}, folder / f"{name}.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


A, B = "a.safetensors", "b.safetensors"

INDEXES: dict[str, tuple[Any, str | None]] = {
    "traversal": ({"x": "../out.safetensors"}, "names the file '../out.safetensors', which is not in it"),
    "absolute": ({"x": "/etc/passwd"}, "names the file '/etc/passwd', which is not in it"),
    "backslash": ({"x": "..\\out"}, "names the file '..\\out', which is not in it"),
    "dots": ({"x": ".."}, "names the file '..', which is not in it"),
    "no name": ({"x": ""}, "names the file '', which is not in it"),
    "NUL": ({"x": "a\0"}, "names the file 'a\\x00', which is not in it"),
    "missing shard": ({"x": A, "y": B, "z": "c.safetensors"}, "there is no such file, but the index"),
    "itself": ({"x": "model.safetensors.index.json"}, "model.safetensors.index.json is not a checkpoint"),
    "tensor in none": ({"x": A, "y": B, "z": A}, "'z' should be in a.safetensors, but is in none"),
    "tensor in another": ({"x": B, "y": A}, "'x' should be in b.safetensors, but is in a.safetensors"),
    "one of two": ({"x": A}, None),
    "no mapping": ([A], "its 'weight_map' is not a mapping of names to files"),
    "empty": ({}, "its 'weight_map' is not a mapping of names to files"),
    "no file": ({"x": 3}, "'x' is in 3, which is not a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", INDEXES)
def test_a_broken_index_is_told(case: str, run: Run, tmp_path: Path) -> None:
    """An index names plain files of its own folder, and says of each what is in it."""
    weight_map, message = INDEXES[case]
    folder = tmp_path / "model"
    index = shards(folder, weight_map, a=["x"], b=["y"])
    safetensors.torch.save_file({"x": torch.ones(1)}, tmp_path / "out.safetensors")
    for path in (index, folder):
        result = run("inspect", str(path))
        if message is None:
            assert result.status == 0
        else:
            assert (result.status, result.stdout) == (2, "")
            assert message in result.stderr
            assert result.stderr.count("\n") == 1


def test_shards_and_index_agree(run: Run, tmp_path: Path) -> None:
    """A tensor in two shards, or one that the index does not name, is told."""
    index = shards(tmp_path / "two", {"x": A, "y": B}, a=["x"], b=["y", "x"])
    assert f"{index} does not fit its files: 'x' is in {A} and in {B}\n" in run("inspect", str(index)).stderr
    index = shards(tmp_path / "more", {"x": A, "y": B}, a=["x"], b=["y", "z"])
    message = f"{index} does not fit its files: {B} has 'z', which the index does not name\n"
    assert message in run("inspect", str(index)).stderr
    index = shards(tmp_path / "good", {"x": A, "y": B}, a=["x"], b=["y"])
    assert "2 elements in 2 tensors, 8 B\n" in run("inspect", str(index.parent)).stdout


def test_keys_that_come_twice_are_told(run: Run, tmp_path: Path) -> None:
    """Of two places for one tensor JSON readers take the last; here it is an error."""
    index = shards(tmp_path / "m", {"x": A}, a=["x"])
    index.write_text(f'{{"weight_map": {{"x": "{A}", "x": "{A}"}}}}')
    result = run("inspect", str(index))
    assert (result.status, result.stderr) == (
        2,
        f"error: {index} is not valid JSON: 'x' appears twice in an object\n",
    )


def test_links_lead_to_files_anywhere(run: Run, tmp_path: Path) -> None:
    """A shard may be a link to elsewhere, as in the cache of Hugging Face, but never to a device."""
    folder = tmp_path / "m"
    index = shards(folder, {"x": A, "y": B}, a=["x"], b=["y"])
    (folder / A).rename(tmp_path / "elsewhere")
    (folder / A).symlink_to("../elsewhere")
    assert run("inspect", str(index)).status == 0
    assert run("inspect", str(folder / A)).status == 0
    for to in (A, os.devnull, "/dev/zero", "nowhere", ".."):
        (folder / A).unlink()
        (folder / A).symlink_to(to)
        result = run("inspect", str(index))
        assert (result.status, result.stdout) == (2, "")
        assert result.stderr == f"error: {folder / A} is a link to {to}, which is not a file\n"


def test_what_is_no_plain_file_is_not_opened(run: Run, tmp_path: Path) -> None:
    """A shard that is a pipe would be waited for without end, and a folder is none."""
    index = shards(tmp_path / "m", {"x": A}, a=["x"])
    (index.parent / A).unlink()
    os.mkfifo(index.parent / A)
    assert "there is no such file, but the index names it" in run("inspect", str(index)).stderr


def test_folders_of_other_tools_are_named(run: Run, tmp_path: Path) -> None:
    """A distributed checkpoint, a SavedModel, several checkpoints and an empty folder are told."""
    for name, files, message in (
        (
            "dcp",
            [".metadata", "__0_0.distcp"],
            ".metadata is not the metadata of a distributed checkpoint: it lacks a Metadata\n",
        ),
        ("tf", ["saved_model.pb"], "is a SavedModel of TensorFlow\n"),
        (
            "two",
            ["a.safetensors", "b.safetensors"],
            "has several checkpoints: a.safetensors (33 B), b.safetensors (33 B); name one",
        ),
        ("none", [], "none is an empty folder\n"),
    ):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).write_bytes(pickle.dumps(print))
        result = run("shared", str(tmp_path / name))
        assert (result.status, result.stdout) == (2, "")
        assert message in result.stderr


# archives of torch


class Runs:
    """Is pickled as a call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("way", ["value", "key", "hooks", "attribute"])
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}])
def test_a_pickle_that_calls_a_function_is_read_and_not_run(
    way: str, options: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    """The function is data wherever it stands in the file, and the tensors beside it are listed."""
    path, trace = tmp_path / "w.pt", tmp_path / "trace"
    evil: Any = Runs(os.system, f"touch {trace}")
    tensor = torch.ones(1)
    if way == "attribute":
        tensor.evil = evil  # type: ignore[attr-defined]
    content = {"w": tensor, "evil": evil if way == "value" else 1}
    if way == "hooks":
        content["evil"] = (torch.ones(1), [evil])
    if way == "key":
        content["k"] = {("a", evil): 1}
    torch.save(content, path, **options)
    for command in (["inspect", str(path)], ["inspect", str(path), "--stats"], ["shared", str(path)]):
        result = run(*command)
        assert result.status == 0
        assert "w" in result.stdout or command[0] == "shared"
    assert not trace.exists()


def test_the_environment_changes_nothing(tmp_path: Path) -> None:
    """The variable that makes torch.load run code does nothing here."""
    path, trace = tmp_path / "w.pt", tmp_path / "trace"
    torch.save({"w": torch.ones(1), "evil": Runs(os.system, f"touch {trace}")}, path)
    ended = watch("inspect", str(path), folder=tmp_path, env={"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"})
    assert (ended.status, ended.torch, trace.exists()) == (0, False, False)


def archive(
    data: bytes, path: Path, members: Mapping[str, bytes] = {}, method: int = zipfile.ZIP_STORED
) -> Path:
    """Write an archive with that pickle, and other members."""
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("m/data.pkl", data)
        for name, content in members.items():
            file.writestr(f"m/{name}", content)
    return path


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"


def pickled(
    storage: bytes = STORAGE,
    offset: bytes = b"K\0",
    shape: bytes = b"K\x02\x85",
    stride: bytes = b"K\x01\x85",
) -> bytes:
    """Return the pickle of one tensor, `w`."""
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + stride + b"\x89}tR"
    return b"\x80\x02}X\x01\0\0\0w" + tensor + b"s."


PICKLES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "its pickle is broken"),
    "no stop": (b"\x80\x02}", "its pickle"),
    "unknown opcode": (b"\x80\x02i.", "its pickle"),
    "a class by number": (b"\x80\x02\x82\x01.", "names classes by numbers of an extension registry (EXT)"),
    "bytes elsewhere": (b"\x80\x05\x97.", "keeps bytes outside itself (NEXT_BUFFER)"),
    "empty stack": (b"\x80\x02.", "its pickle is broken"),
    "no mark": (b"\x80\x02t.", "its pickle is broken"),
    "no such memo": (b"\x80\x02h\x05.", "its pickle is broken"),
    "long text": (b"\x80\x02X\xff\xff\xff\x7fa.", "its pickle"),
    "a call of a dict": (b"\x80\x02})R.", "its pickle is broken"),
    "items of a list": (b"\x80\x02]K\x01K\x02s.", "its pickle is broken"),
    "appended to a dict": (b"\x80\x02}K\x01a.", "its pickle is broken"),
    "half a storage": (b"\x80\x02X\7\0\0\0storage\x85Q.", "its pickle is broken"),
    "scalar": (b"\x80\x02K\x05.", "it holds no tensors; save a state_dict"),
    "calls deep": (
        b"\x80\x02" + b"ctorch._tensor\n_rebuild_from_type_v2\nq\x000(" * 1 + b"h\0Nh\0N" + b"))t" + b"R.",
        "its pickle is broken",
    ),
    "beyond the storage": (pickled(offset=b"K\x01"), "the tensor 'w' reaches beyond its storage"),
    "large stride": (pickled(stride=b"K\x02\x85"), "the tensor 'w' reaches beyond its storage"),
    "negative offset": (pickled(offset=b"J\xff\xff\xff\xff"), "the tensor 'w' reaches beyond its storage"),
    "negative size": (pickled(shape=b"J\xff\xff\xff\xff\x85"), "'w' has a shape that no tensor has"),
    "two strides": (pickled(stride=b"K\x01K\x01\x86"), "the tensor 'w' has a shape that no tensor has"),
    "a text as shape": (pickled(shape=b"X\x01\0\0\0a"), "the tensor 'w' has a shape that no tensor has"),
    "too many elements": (
        pickled(shape=b"\x8a\x08" + (2**62).to_bytes(8, "little") + b"\x85", stride=b"K\0\x85"),
        "the tensor 'w' has a shape that no tensor has",
    ),
    "no storage": (pickled(storage=b"K\x05"), "its pickle is broken"),
    "another member": (pickled(storage=STORAGE.replace(b"\x000X", b"\x009X")), "data/9 of 8 bytes"),
    "traversal": (
        pickled(storage=STORAGE.replace(b"\x01\0\0\x000X", b"\x05\0\0\x00../..X")),
        "data/../.. of 8 bytes, and it is not there",
    ),
    "another length": (pickled(storage=STORAGE.replace(b"K\x02tQ", b"K\x03tQ")), "of 12 bytes, and it has 8"),
}  # fmt: skip


@pytest.mark.parametrize("case", PICKLES)
def test_a_broken_pickle_is_told(case: str, run: Run, tmp_path: Path) -> None:
    """Whatever is wrong with the pickle or with a tensor of it is one line."""
    data, message = PICKLES[case]
    result = run("inspect", str(archive(data, tmp_path / "w.pt", {"data/0": bytes(8)})))
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_pickle_by_hand_is_a_good_one(run: Run, tmp_path: Path) -> None:
    """The cases above differ from what torch reads in one thing each."""
    path = archive(pickled(), tmp_path / "w.pt", {"data/0": struct.pack("<2f", 1, 2), "version": b"3\n"})
    assert torch.load(path, weights_only=True)["w"].tolist() == [1, 2]
    (row,) = json.loads(run("inspect", str(path), "--values", "--json").stdout)["rows"]
    assert row["values"] == [1, 2]


def test_members_are_stored_and_apart(run: Run, tmp_path: Path) -> None:
    """Compressed, encrypted, double and overlapping members are refused, and what was written big-endian."""
    path = tmp_path / "w.pt"
    archive(pickled(), path, {"data/0": bytes(8)}, zipfile.ZIP_DEFLATED)
    assert "its pickle is compressed, and torch.save stores members as" in run("inspect", str(path)).stderr
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "w") as file:
        for _ in range(2):
            file.writestr("m/data.pkl", pickled())
    assert "m/data.pkl appears twice" in run("inspect", str(path)).stderr
    archive(pickled(), path, {"data/0": bytes(8), "byteorder": b"middle"})
    assert "its byteorder is neither little nor big" in run("inspect", str(path)).stderr
    content = bytearray(archive(pickled(), path, {"data/0": bytes(8)}).read_bytes())
    second = content.rindex(b"PK\x01\x02")
    offset = struct.unpack_from("<L", content, second + 42)[0]
    for at, value, message in (
        (second + 42, offset - 1, "m/data/0 overlaps another member"),
        (second + 42, offset + 1, "m/data/0 is not where its directory says"),
        (second + 8, 1, "m/data/0 is encrypted"),
    ):
        changed = bytearray(content)
        struct.pack_into("<L" if at == second + 42 else "<H", changed, at, value)
        path.write_bytes(changed)
        assert message in run("inspect", str(path)).stderr


BOMBS: dict[str, Callable[[], bytes]] = {
    "header": lambda: safetensor(b'{"a":' + b"[" * 50_000_000),
    "many lists": lambda: safetensor(b'{"a":{"shape":[' + b"[]," * 20_000_000),
    "long name": lambda: safetensor(b'{"' + b"a" * 90_000_000),
    "escapes": lambda: safetensor(b'{"' + b"\\u0061" * 10_000_000 + b'": {}}'),
    "spaces": lambda: safetensor(b"{" + b" " * 90_000_000),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_large_header_is_refused_soon(case: str, tmp_path: Path) -> None:
    """A header of 90 MB that is none costs little more than to read it."""
    (tmp_path / "w.safetensors").write_bytes(BOMBS[case]())
    ended = watch("inspect", "w.safetensors", folder=tmp_path)
    assert (ended.status, ended.stdout, ended.torch) == (2, "", False)
    assert ended.stderr.count("\n") == 1 and ended.stderr.startswith("error: ")
    assert ended.megabytes < 3 * 100 + MEGABYTES


def times(opcode: bytes, count: int) -> bytes:
    """Return a pickle that ends after so many opcodes."""
    return b"\x80\x02" + opcode * count + b"."


PICKLE_BOMBS: dict[str, Callable[[], bytes]] = {
    "lists": lambda: times(b"]", 60_000_000),
    "marks": lambda: times(b"(", 20_000_000),
    "calls": lambda: b"\x80\x02ccollections\nOrderedDict\nq\x000](" + b"N" * 100_000
    + b"e\x85q\x01" + b"h\0h\x01R" * 3_000_000 + b".",
    "doubled": lambda: b"\x80\x02)" + b"q\x00h\x00\x86" * 1_000 + b"}N" + b"s.",
    "doubled key": lambda: b"\x80\x02})" + b"q\x00h\x00\x86" * 1_000 + b"Ns.",
    "one dict in many": lambda: b"\x80\x02}(" + b"".join(
        b"X\x05\0\0\0%05dN" % each for each in range(1_000)
    ) + b"uq\x00" + b"".join(
        b"}(" + b"".join(b"X\5\0\0\0%05dh%c" % (each, level) for each in range(1_000)) + b"uq%c" % (level + 1)
        for level in range(6)
    ) + b".",
    "colliding keys": lambda: b"\x80\x02}(" + b"".join(
        b"\x8a\x0c" + (each * (2**61 - 1)).to_bytes(12, "little") + b"N" for each in range(1, 200_000)
    ) + b"u.",
}  # fmt: skip


TENSOR = pickled()[len(b"\x80\x02}X\x01\0\0\0w") : -2]


def several(count: int, value: bytes) -> bytes:
    """Return opcodes of keys, with that value for each."""
    return b"(" + b"".join(b"X\5\0\0\0%05d" % each + value for each in range(count)) + b"u"


PICKLE_BOMBS |= {
    "a tensor in many dicts": lambda: b"\x80\x02}" + several(2, TENSOR) + b"q\x00" + b"".join(
        b"}" + several(1_000, b"h%c" % level) + b"q%c" % (level + 1) for level in range(6)
    ) + b".",
    "a tensor in many tuples": lambda: b"\x80\x02" + TENSOR + b"\x85" + b"q\x00h\x00\x86" * 40 + b".",
    "a tensor deep down": lambda: b"\x80\x02" + b"]" * 100_000 + TENSOR + b"a" * 100_000 + b".",
    "a list shared": lambda: b"\x80\x02](" + b"]" * 100_000 + TENSOR + b"eq\x000}"
    + several(90_000, b"h\x00") + b".",
    "an object that is its own state": lambda: b"\x80\x02ca\nB\n)\x81q\x00h\x00b.",
}  # fmt: skip

HARMLESS = ("an object that is its own state", "doubled key", "one dict in many", "colliding keys")
"""Those that cost nothing to read as data, and hold no tensors."""


@pytest.mark.parametrize("case", PICKLE_BOMBS)
def test_a_pickle_does_not_explode(case: str, tmp_path: Path) -> None:
    """Small pickles that would take for ever, or all memory, end in an error like any other."""
    archive(PICKLE_BOMBS[case](), tmp_path / "w.pt", {"data/0": bytes(8)})
    ended = watch("inspect", "w.pt", folder=tmp_path)
    assert (ended.status, ended.torch) == (0 if case in HARMLESS else 2, False)
    if case not in HARMLESS:
        assert ended.stdout == ""
        assert ended.stderr.count("\n") == 1 and ended.stderr.startswith("error: w.pt: it")
    assert ended.megabytes < 1_500


def test_an_expanded_view_costs_nothing_until_it_is_read(run: Run, tmp_path: Path) -> None:
    """A view that says an element 2^40 times is listed, and not read element by element for an hour."""
    path = tmp_path / "w.pt"
    torch.save({"w": torch.ones(1).expand(2**40)}, path)
    assert "1,099,511,627,776 elements in 1 tensor" in run("inspect", str(path)).stdout
    result = run("inspect", str(path), "--stats")
    assert (result.status, result.stdout) == (2, "")
    message = f"error: 'w' in {path} repeats 1 stored elements as 1,099,511,627,776, too many to read\n"
    assert result.stderr.splitlines(keepends=True)[-1] == message


# anything


def ends_well(path: Path) -> bool:
    """Open and read what a file holds; return whether it could be, and let no other error through."""
    try:
        checkpoint = open_checkpoint(str(path))
        stored(checkpoint)
        elements = FileElements(checkpoint)
        for name in checkpoint.by_name:
            for _ in elements.blocks(name):
                pass
    except ParamtoolError as error:
        assert error.status == 2
        assert "\n" not in str(error)
        return False
    return True


def mutated(content: bytes, dice: random.Random, head: int) -> bytes:
    """Return the bytes with some of the first `head`, or of the last 300, changed, lost or doubled."""
    changed = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        span = min(head, len(changed)) if dice.random() < 0.7 else len(changed)
        at = (
            dice.randrange(span)
            if dice.random() < 0.7
            else dice.randrange(max(0, len(changed) - 300), len(changed))
        )
        kind = dice.randrange(5)
        if kind == 0:
            changed[at] = dice.randrange(256)
        elif kind == 1:
            changed[at] ^= 1 << dice.randrange(8)
        elif kind == 2:
            del changed[at : at + dice.randint(1, 8)]
        elif kind == 3:
            changed[at:at] = changed[at : at + dice.randint(1, 30)]
        else:
            changed[at : at + 1] = dice.choice(
                [b"0", b"9" * 20, b"-1", b"[", b"}", b'"', b"\0", b"\xff" * 4, b"1e9"]
            )
        if not changed:
            break
    return bytes(changed)


def safetensors_content() -> bytes:
    """Return a good file with tensors of many kinds, and metadata."""
    tensors = {
        "block.0.weight": torch.ones(2, 3),
        "block.0.bias": torch.ones(3, dtype=torch.bfloat16),
        "count": torch.tensor(3),
        "empty": torch.empty(0, 2),
    }
    return safetensors.torch.save(tensors, {"format": "pt", "tied": "count"})


def archive_content() -> bytes:
    """Return a good archive with views, parameters and plain data."""
    base = torch.arange(12.0).reshape(3, 4)
    content = {
        "state_dict": {"w": base, "t": base.t(), "p": torch.nn.Parameter(torch.ones(2)), "h": base[1].half()},
        "epoch": 3,
        "lr": 0.1,
    }
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "head", "times"),
    [
        pytest.param(safetensors_content, "w.safetensors", 400, 400, id="safetensors"),
        pytest.param(archive_content, "w.pt", 1300, 200, id="archives"),
        pytest.param(
            safetensors_content, "w.safetensors", 400, 20_000, id="safetensors-slow", marks=pytest.mark.slow
        ),
        pytest.param(archive_content, "w.pt", 1300, 5_000, id="archives-slow", marks=pytest.mark.slow),
    ],
)
def test_mutated_files_end_well(
    content: Callable[[], bytes], name: str, head: int, times: int, tmp_path: Path
) -> None:
    """Files with bytes changed, lost and doubled anywhere are read, or refused in a line of ours."""
    dice = random.Random(0)
    good, path = content(), tmp_path / name
    path.write_bytes(good)
    assert ends_well(path)
    outcomes = set()
    for _ in range(times):
        path.write_bytes(mutated(good, dice, head))
        outcomes.add(ends_well(path))
    assert outcomes == {True, False}


# files that describe far more than they hold

JSON_BOMBS: dict[str, tuple[bytes, str]] = {
    "lists": (b"[]" * 30_000_000, "1,000,000 objects and lists"),
    "objects": (b"{}" * 30_000_000, "1,000,000 objects and lists"),
    "numbers": (b"12," * 21_000_000, "6,000,000 values"),
    "keys": (b"{" + b",".join(b'"%07d":1' % each for each in range(5_000_000)), "1,000,000 different keys"),
}


@pytest.mark.parametrize("case", JSON_BOMBS)
def test_json_of_any_number_of_values_is_not_read(case: str, tmp_path: Path) -> None:
    """Python makes an object of every value: 60 MB of brackets would take 1.6 GB."""
    inside, what = JSON_BOMBS[case]
    (tmp_path / "m.json").write_bytes(b'{"schema": 1, "command": "inspect", "rows": [' + inside)
    ended = watch("inspect", "m.json", folder=tmp_path)
    assert (ended.status, ended.stdout, ended.torch) == (2, "", False)
    assert ended.stderr == f"error: m.json is JSON with more than {what}\n"
    assert ended.megabytes < 2 * 64 + MEGABYTES


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "json"])
def test_a_checkpoint_has_a_bounded_number_of_names(
    suffix: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million empty tensors, tied names or entries of an index are refused where they are read."""
    for module in (safetensors_header, checkpoint, sharded):
        monkeypatch.setattr(module, "MOST_NAMES", 3)
    monkeypatch.setattr(pickled_file, "_BYTES_A_NAME", 1 << 20)
    tensors = {f"w{each}": torch.ones(1) for each in range(4)}
    safetensors.torch.save_file(tensors, tmp_path / "w.safetensors")
    torch.save(tensors, tmp_path / "w.pt")
    index = {"weight_map": dict.fromkeys(tensors, "w.safetensors")}
    (tmp_path / "w.json").write_text(json.dumps(index))
    result = run("inspect", str(tmp_path / f"w.{suffix}"))
    assert (result.status, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "more than 3 tensors" in result.stderr or "or 3 tensors" in result.stderr


def test_metadata_have_a_bounded_number_of_entries(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry may be the name of a tied tensor."""
    monkeypatch.setattr(safetensors_header, "MOST_NAMES", 3)
    metadata = {f"w{each}": "w" for each in range(4)}
    safetensors.torch.save_file({"w": torch.ones(1)}, tmp_path / "w.safetensors", metadata)
    result = run("inspect", str(tmp_path / "w.safetensors"))
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.endswith("its metadata have more than 3 entries\n")


def test_an_index_of_many_links_to_one_shard_is_left_at_the_second(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 links to one large header are not 10,000 headers to read, whether it has a tensor or none."""
    links = [f"{each:04}.safetensors" for each in range(100)]
    index = shards(tmp_path / "model", {f"w{link}": link for link in links} | {"x": links[0]}, real=["x"])
    opened: list[object] = []
    read = safetensors_file.read_open_file

    def counting(file: OpenFile) -> Any:
        opened.append(file.path)
        return read(file)

    monkeypatch.setattr(safetensors_file, "read_open_file", counting)
    for link in links:
        (tmp_path / "model" / link).symlink_to("real.safetensors")
    result = run("inspect", str(index))
    assert (result.status, len(opened)) == (2, 2)
    assert result.stderr.endswith("'x' is in 0000.safetensors and in 0001.safetensors\n")
    (tmp_path / "model" / "real.safetensors").write_bytes(safetensor({}))
    result = run("inspect", str(index))
    assert (result.status, len(opened)) == (2, 3)
    assert result.stderr.endswith("0000.safetensors has no tensor\n")


def test_views_that_say_the_same_bytes_again_and_again_are_not_read(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of many views may be small for itself; together they would be read for hours."""
    base = torch.arange(4096.0)
    path = tmp_path / "w.pt"
    torch.save({f"w{each}": base[each : each + 4000] for each in range(64)}, path)
    assert run("inspect", str(path), "--stats").status == 0
    monkeypatch.setattr(repetition, "MOST_REPEATED", 1 << 16)
    assert run("inspect", str(path)).status == 0
    result = run("inspect", str(path), "--stats")
    assert (result.status, result.stdout) == (2, "")
    held = f"{4 * 4063:,} bytes"
    assert result.stderr == (f"error: the views in {path} repeat the same {held} too often to read\n")


def test_elements_far_apart_count_as_what_could_be_read_meanwhile() -> None:
    """A view of few elements may take a read for each; a transposed matrix, or part of one, does not."""
    assert Region(0, (3, 2), (1, 3)).reads == 1
    assert Region(0, (1000, 1000), (1, 1000)).reads == 1
    assert Region(0, (1000, 10), (10**6, 1)).reads == 1000
    assert Region(0, (10, 1000), (1, 10**6)).reads == 1000
    assert Region(0, (100, 100), (10**9, 10**6)).reads == 10_000
