"""The official reader agrees with every file that we lay out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from paramtool.errors import ParamtoolError
from paramtool.files.reading.safetensors import read_safetensors
from paramtool.files.safetensors_format import DTYPES, Entry, layout
from paramtool.files.writing.weights import WeightsWriter

NAMES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(["", "a.b", '"', "\\", "\0", "日本", "__metadata", "é\n", "{}", "😀"]),
).filter(lambda name: name != "__metadata__")
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
ENTRIES = st.lists(
    st.builds(Entry, NAMES, st.sampled_from(sorted(DTYPES)), SHAPES),
    max_size=6,
    unique_by=lambda each: each.name,
)
METADATA = st.dictionaries(NAMES, NAMES, max_size=3)


def content(entry: Entry) -> bytes:
    """Return bytes that tell the entry's elements apart, and are valid for its dtype."""
    pattern = bytes((0, 1)) if entry.dtype == "bool" else bytes((*range(1, 240), *entry.name.encode()))
    return (pattern * (entry.nbytes // len(pattern) + 1))[: entry.nbytes]


def save(path: Path, entries: Sequence[Entry], metadata: Mapping[str, str] = {}) -> None:
    """Write `entries` with their `content`."""
    with WeightsWriter(path, entries, metadata=metadata) as writer:
        for entry in entries:
            writer.write(entry.name, 0, content(entry))


def as_tensor(entry: Entry) -> torch.Tensor:
    """Return the tensor that the official reader is to find."""
    dtype = getattr(torch, entry.dtype)
    if not entry.nbytes:
        return torch.empty(entry.shape, dtype=dtype)
    return torch.frombuffer(bytearray(content(entry)), dtype=dtype).reshape(entry.shape)


def assert_same(found: torch.Tensor, entry: Entry) -> None:
    """Fail where `found` is not bit for bit the tensor that was stored."""
    meant = as_tensor(entry)
    assert (found.dtype, found.shape) == (meant.dtype, meant.shape)
    assert torch.equal(found.reshape(-1).view(torch.uint8), meant.reshape(-1).view(torch.uint8))


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_every_dtype_comes_back_bit_for_bit(dtype: str, tmp_path: Path) -> None:
    """torch reads matrices, scalars and empty tensors of every dtype as they were stored."""
    entries = [Entry("matrix", dtype, (3, 5)), Entry("scalar", dtype, ()), Entry("empty", dtype, (2, 0, 3))]
    save(tmp_path / "a.safetensors", entries)
    found = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert found.keys() == {entry.name for entry in entries}
    for entry in entries:
        assert_same(found[entry.name], entry)


def test_the_table_has_every_dtype_of_the_library_but_the_packed_one() -> None:
    """What safetensors stores of torch's dtypes is what we store, with the same sizes."""
    sizes = {str(dtype).removeprefix("torch."): size for dtype, size in safetensors.torch._SIZE.items()}
    del sizes["float4_e2m1fn_x2"]
    assert {name: size for name, (_, size) in DTYPES.items()} == sizes


@settings(max_examples=80, deadline=None)
@given(ENTRIES, METADATA)
def test_the_official_reader_agrees_on_everything(entries: list[Entry], metadata: dict[str, str]) -> None:
    """Names, dtypes, shapes, bytes and metadata are read as they were given, and every tensor is aligned."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save(path, entries, metadata)
        with safe_open(path, "pt") as file:
            assert sorted(file.keys()) == sorted(entry.name for entry in entries)
            assert (file.metadata() or {}) == metadata
            for entry in entries:
                assert_same(file.get_tensor(entry.name), entry)
        found = read_safetensors(path).tensors
    assert [Entry(each.name, each.dtype, each.shape) for each in found] == entries
    assert all(each.position % DTYPES[each.dtype][1] == 0 for each in found)


@given(ENTRIES, METADATA)
def test_the_layout_has_no_gaps_and_is_the_same_each_time(
    entries: list[Entry], metadata: dict[str, str]
) -> None:
    """Data begins at a multiple of 8 and fills the file; the order of the metadata changes nothing."""
    first = layout(entries, metadata)
    assert first == layout(entries, dict(reversed(metadata.items())))
    assert len(first.head) % 8 == 0
    position = len(first.head)
    for begin, end in sorted(first.places.values()):
        assert begin == position
        position = end
    assert position == first.size == len(first.head) + sum(entry.nbytes for entry in entries)


def test_the_header_is_these_bytes() -> None:
    """The header begins with the metadata, sorted, and names the tensors in the order given."""
    entries = [Entry("b", "uint8", (3,)), Entry("a", "float64", ()), Entry("ü", "float64", (0,))]
    head = layout(entries, {"y": "1", "x": "2"}).head
    text = (
        '{"__metadata__":{"x":"2","y":"1"},'
        '"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},'
        '"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]},'
        '"ü":{"dtype":"F64","shape":[0],"data_offsets":[8,8]}}'
    ).encode()
    padded = text + b" " * (-len(text) % 8)
    assert head == len(padded).to_bytes(8, "little") + padded


def test_one_dtype_keeps_the_order_given() -> None:
    """The tensors of a model of one dtype lie in the file as they do in the model."""
    entries = [Entry(name, "float32", (size,)) for name, size in (("z", 3), ("a", 1), ("m", 2))]
    places = layout(entries, {}).places
    assert sorted(places, key=places.__getitem__) == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([Entry("__metadata__", "float32", ())], "__metadata__"),
        ([Entry("a", "float32", ()), Entry("a", "float32", ())], "'a' twice"),
        ([Entry("a", "complex128", ())], "'a': the safetensors format has no dtype complex128"),
        ([Entry("a", "float32", (2**62, 2**62, 0))], "'a': no file can hold the shape"),
        ([Entry("a", "float32", (-1,))], "'a': no file can hold the shape"),
        ([Entry("a\ud800", "float32", ())], "not Unicode"),
    ],
)
def test_what_cannot_be_stored_is_named(entries: list[Entry], words: str) -> None:
    """A name, dtype or shape that the format cannot hold is refused before there is a file."""
    with pytest.raises(ParamtoolError, match=words):
        layout(entries, {})


def test_a_shape_at_the_limit_is_read(tmp_path: Path) -> None:
    """The largest empty shapes that we accept the official reader accepts as well."""
    entry = Entry("a", "int8", (2**40, 2**22, 0))
    save(tmp_path / "a", [entry])
    with safe_open(tmp_path / "a", "pt") as file:
        assert file.get_slice("a").get_shape() == list(entry.shape)
    assert math.prod(entry.shape) == 0


@pytest.mark.parametrize("cut", [4, 30, -1])
def test_a_file_cut_short_is_told(cut: int, tmp_path: Path) -> None:
    """Reading back says of a file that lost bytes that it is not whole."""
    save(tmp_path / "a", [Entry("a", "float32", (3,))])
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:cut])
    with pytest.raises(ParamtoolError, match="not a valid safetensors file"):
        read_safetensors(tmp_path / "a")


@pytest.mark.parametrize("header", [b"[]", b"{", b'{"a":1}', json.dumps({"a": {"dtype": "F9"}}).encode()])
def test_what_is_no_header_is_told(header: bytes, tmp_path: Path) -> None:
    """Reading back says of other files what they are not."""
    (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ParamtoolError, match="not a valid safetensors file"):
        read_safetensors(tmp_path / "a")
    with pytest.raises(ParamtoolError, match="cannot read"):
        read_safetensors(tmp_path / "b")
