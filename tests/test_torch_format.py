"""The archives of torch.save that are written without torch."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paramtool.errors import ParamtoolError
from paramtool.files.reading.open_file import OpenFile
from paramtool.files.reading.zip_directory import read_members
from paramtool.files.safetensors_format import DTYPES, OTHER_SIZES, Entry
from paramtool.files.torch_format import archive_layout
from paramtool.files.writing.containers import TorchArchive
from paramtool.files.writing.joined_checksums import joined
from paramtool.files.writing.weights import WeightsWriter

EVERY = sorted({*DTYPES, *OTHER_SIZES})


def write(path: Path, entries: list[Entry], names: dict[str, str], **versions: int) -> None:
    """Write bytes that count up, in two pieces, the second first."""
    with WeightsWriter(path, entries, container=TorchArchive(names, versions)) as writer:
        for each in entries:
            content = content_of(each)
            half = each.nbytes // 2
            writer.write(each.name, half, content[half:])
            writer.write(each.name, 0, content[:half])


def content_of(entry: Entry) -> bytes:
    return bytes(1 if entry.dtype == "bool" else number % 127 for number in range(entry.nbytes))


@pytest.mark.filterwarnings("ignore:ComplexHalf")
@pytest.mark.parametrize("mmap", [False, True])
def test_torch_loads_every_dtype(mmap: bool, tmp_path: Path) -> None:
    """With ``weights_only=True``, mapped or not, at multiples of 64 bytes."""
    entries = [Entry(dtype, dtype, (3, 5)) for dtype in EVERY]
    entries += [Entry("", "float32", ()), Entry("empty", "float16", (0, 4)), Entry("名.\ud800", "int8", (7,))]
    write(tmp_path / "a.pt", entries, {each.name: each.name for each in entries} | {"again": "float32"})
    found = torch.load(tmp_path / "a.pt", weights_only=True, mmap=mmap)
    assert list(found) == [*(each.name for each in entries), "again"]
    for each in entries:
        tensor = found[each.name]
        assert (str(tensor.dtype), tuple(tensor.shape)) == (f"torch.{each.dtype}", each.shape)
        assert tensor.is_contiguous()
        assert tensor.untyped_storage().tolist() == list(content_of(each))
        assert not mmap or not each.nbytes or tensor.data_ptr() % 64 == 0
    assert found["again"].data_ptr() == found["float32"].data_ptr()
    assert zipfile.ZipFile(tmp_path / "a.pt").testzip() is None


def test_the_bytes_depend_on_nothing_else(tmp_path: Path) -> None:
    """Neither on the name of the file nor on the time."""
    for name in ("a.pt", "b.ckpt"):
        write(tmp_path / name, [Entry("w", "float32", (2,))], {"w": "w"}, norm=2)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.ckpt").read_bytes()
    assert torch.load(tmp_path / "a.pt", weights_only=True)._metadata == {"norm": {"version": 2}}


def test_more_than_four_gigabytes(tmp_path: Path) -> None:
    """Sizes and places that need 64 bits, in a file with holes."""
    entries = [
        Entry("a", "uint8", (5 * 2**30,)),
        Entry("b", "float32", (3,)),
        Entry("c", "int8", (2**32 - 1,)),
    ]
    layout = archive_layout(entries, {each.name: each.name for each in entries}, {})
    path = tmp_path / "large.pt"
    with path.open("wb") as file:
        file.truncate(layout.size)
        for position, data in layout.closing({"a": 1, "b": zlib.crc32(bytes(12)), "c": 2}):
            file.seek(position)
            file.write(data)
    assert path.stat().st_size == layout.size
    with path.open("rb") as file:
        members = read_members(OpenFile(path, file.fileno()))
    assert members["archive/data/0"].size == 5 * 2**30
    found = torch.load(path, weights_only=True, mmap=True)
    assert found["a"].shape == (5 * 2**30,)
    assert found["b"].tolist() == [0.0] * 3
    assert found["c"].untyped_storage().nbytes() == 2**32 - 1
    os.truncate(path, 0)


def test_more_members_than_sixteen_bits_count(tmp_path: Path) -> None:
    """The directory has its record for 64 bits then."""
    entries = [Entry(f"w{number}", "uint8", (1,)) for number in range(65_600)]
    layout = archive_layout(entries, {"w65599": "w65599"}, {})
    path = tmp_path / "many.pt"
    with path.open("wb") as file:
        for position, data in layout.closing(dict.fromkeys(layout.places, 0)):
            file.seek(position)
            file.write(data)
    assert torch.load(path, weights_only=True)["w65599"].tolist() == [0]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([Entry("w", "uint8", (1,))] * 2, "cannot store 'w' twice"),
        ([Entry("w", "uint8", (2**62, 4))], "no file can hold the shape"),
        ([Entry("w", "uint8", (-1,))], "no file can hold the shape"),
        ([Entry("w", "qint8", (1,))], "the safetensors format has no dtype qint8"),
    ],
)
def test_what_no_archive_holds(entries: list[Entry], message: str) -> None:
    """One line, before anything is written."""
    with pytest.raises(ParamtoolError, match=message):
        archive_layout(entries, {}, {})


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_are_joined(first: bytes, second: bytes) -> None:
    """As if the parts had been one."""
    assert joined(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)
