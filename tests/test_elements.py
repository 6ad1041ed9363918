"""The elements of files and of live tensors: the same blocks, the same numbers, no torch for files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from paramtool.elements import elements as sizes
from paramtool.elements import files, measurement, statistics
from paramtool.elements.changed_values import ChangedValues
from paramtool.elements.equality import equal_values
from paramtool.elements.files import FileElements
from paramtool.elements.measurement import measured
from paramtool.elements.strided import boxes
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint, Piece, Stored
from paramtool.files.reading.safetensors import read_safetensors
from paramtool.network.listing import parameters
from paramtool.operations.listing.checkpoint import stored
from paramtool.tensors.elements import TensorElements
from paramtool.tensors.statistics import statistics as live_statistics
from tests.processes import watch

SHAPES = st.lists(st.integers(1, 5), max_size=4).map(tuple)


@given(SHAPES, st.integers(1, 20), st.integers(0, 100))
@settings(max_examples=100, deadline=None)
def test_boxes_are_the_tensor(shape: tuple[int, ...], most: int, start: int) -> None:
    """One after the other they are all elements in row-major order, from the one with `start` on."""
    whole = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    found = list(boxes(shape, most, start))
    assert all(box.count <= most for box in found)
    assert all(whole[box.slices].flat[0] == box.first for box in found)
    together = [number for box in found for number in whole[box.slices].ravel().tolist()]
    assert together == list(range(found[0].first if found else whole.size, whole.size))
    assert not found or found[0].first <= start < found[0].first + found[0].count or not start


@given(SHAPES, st.randoms(use_true_random=False), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_a_live_tensor_gives_any_range(shape: tuple[int, ...], random: Random, start: int, stop: int) -> None:
    """Contiguous or not, in blocks of any size."""
    tensor = torch.arange(int(np.prod(shape))).reshape(shape)
    tensor = tensor.permute(random.sample(range(len(shape)), len(shape)))
    if tensor.ndim:
        tensor = tensor[:: random.choice((1, 2))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paramtool.tensors.elements.BLOCK", random.randint(1, 9))
        found = [block.copy() for block in TensorElements({"x": tensor}).blocks("x", start, stop)]
    assert [each for block in found for each in block.tolist()] == tensor.flatten().tolist()[start:stop]


def in_pieces(tensor: Tensor, cuts: list[list[int]], folder: Path) -> Checkpoint:
    """Write a matrix as one file for each of its pieces."""
    pieces = []
    for top, bottom in zip(cuts[0], cuts[0][1:], strict=False):
        for left, right in zip(cuts[1], cuts[1][1:], strict=False):
            part = tensor[top:bottom, left:right].contiguous()
            path = folder / f"{top}-{left}"
            path.write_bytes(b"head" + part.numpy().tobytes())
            pieces.append(Piece((top, left), tuple(part.shape), path, 4))
    shape = tuple(tensor.shape)
    first = pieces[0]
    whole = Stored("x", "float32", shape, tensor.nbytes, first.path, 4, pieces=tuple(pieces))
    return Checkpoint("pieces", (whole,))


@pytest.mark.parametrize("gathered", [1, 7, 1 << 20])
@pytest.mark.parametrize("cuts", [[[0, 9], [0, 4, 11]], [[0, 2, 3, 9], [0, 11]], [[0, 5, 9], [0, 1, 8, 11]]])
def test_pieces_are_read_as_one_tensor(
    cuts: list[list[int]], gathered: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, columns and tiles give the blocks, the outline and the statistics of the whole."""
    monkeypatch.setattr(files, "GATHERED", gathered)
    tensor = torch.randn(9, 11)
    checkpoint = in_pieces(tensor, cuts, tmp_path)
    found = FileElements(checkpoint, block=10)
    for start, stop in ((0, 99), (0, 1), (35, 62), (98, 200), (50, 50)):
        blocks = [block.copy() for block in found.blocks("x", start, stop)]
        assert [len(block) for block in blocks[:-1]] == [10] * (len(blocks) - 1)
        together = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
        assert together.tolist() == tensor.flatten()[start:stop].tolist()
    assert found.outline("x").tobytes() == TensorElements({"x": tensor}).outline("x").tobytes()
    assert statistics.statistics_of(FileElements(checkpoint), "x") == live_statistics(tensor)


def test_what_a_file_lacks_is_said(tmp_path: Path) -> None:
    """A tensor without elements, and a dtype that nobody reads."""
    lacking = Stored("x", "float32", (2,), 8, tmp_path, 0, missing="on the meta device")
    strange = Stored("y", "Q4_K", (2,), 8, tmp_path, 0)
    found = FileElements(Checkpoint("c", (lacking, strange)))
    for read in (found.blocks, found.outline):
        with pytest.raises(ParamtoolError, match=r"cannot read the values of 'x' in .*: on the meta device"):
            read("x")
        with pytest.raises(ParamtoolError, match="cannot read the values of 'y': Q4_K is not supported"):
            read("y")


def test_a_view_that_repeats_one_element_is_refused_at_once(tmp_path: Path) -> None:
    """Even if it would have more chunks than there is memory to count them."""
    (tmp_path / "w").write_bytes(bytes(8))
    views = [
        Stored(name, name, (2**40, 2**20), 2**62, tmp_path / "w", 0, strides=(0, 0), storage="s")
        for name in ("float32", "int32")
    ]
    checkpoint = Checkpoint("c", tuple(views))
    found = FileElements(checkpoint)
    with pytest.raises(ParamtoolError, match="too many to read"):
        measured(stored(checkpoint), found, stats=True, jobs=2)
    with pytest.raises(ParamtoolError, match="too many to read"):
        ChangedValues(found, found, jobs=2).change("float32", "int32")
    with pytest.raises(ParamtoolError, match="too many to read"):
        twice = Checkpoint("c", (views[0], replace(views[0], name="x")))
        equal_values(stored(twice).rows, FileElements(twice))


def test_rows_without_elements_stay_as_they_are(path: Path) -> None:
    """The others have their statistics and values."""
    checkpoint = read_safetensors(path)
    listed = stored(checkpoint)
    found = measured(listed, FileElements(checkpoint), stats=True, values=True, missing={"matrix"})
    assert [row.name for row in found.rows if row.norm is None and row.numel] == ["matrix"]
    assert next(row for row in found.rows if row.name == "matrix").values is None


DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.int64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with tensors of several dtypes and of many chunks."""
    torch.manual_seed(0)
    tensors = {str(dtype): (torch.randn(999) * 9).to(dtype) for dtype in DTYPES}
    tensors |= {"matrix": torch.randn(60, 70) + 5, "scalar": torch.tensor(3.0), "none": torch.empty(0, 3)}
    tensors |= {"copy": tensors["matrix"].clone(), "bool": torch.rand(50) > 0.5}
    tensors |= {"complex": torch.randn(99, dtype=torch.complex64)}
    save_file(tensors, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize("chunk", [64, 4096])
def test_no_number_depends_on_threads(path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics of a file are to the last bit those of the live tensors, on any number of threads."""
    for each in (statistics, measurement):
        monkeypatch.setattr(each, "CHUNK", chunk)
    monkeypatch.setattr("paramtool.elements.changed_values.CHUNK", chunk)
    for module in ("elements.moments", "tensors.elements"):
        monkeypatch.setattr(f"paramtool.{module}.BLOCK", 32)
    checkpoint = read_safetensors(path)
    listed, found = stored(checkpoint), FileElements(checkpoint, block=32)
    rows = [measured(listed, found, stats=True, values=True, jobs=jobs).rows for jobs in (1, 2, 7)]
    assert rows[0] == rows[1] == rows[2]
    loaded = load_file(path)
    for row in rows[0]:
        expected = live_statistics(loaded[row.name])
        assert {key: getattr(row, key) for key in expected} == expected
    equal = [equal_values(listed.rows, found, jobs=jobs) for jobs in (1, 3)]
    assert equal[0] == equal[1] and equal[0].groups == (("copy", "matrix"),)
    changes = [
        ChangedValues(found, found, jobs=jobs).change("torch.float32", "torch.float16") for jobs in (1, 3)
    ]
    assert changes[0] == changes[1] is not None


def test_a_broken_file_ends_all_threads(path: Path) -> None:
    """What one of them finds is what is raised."""
    checkpoint = read_safetensors(path)
    content = path.read_bytes()
    path.write_bytes(content[:-4000])
    with pytest.raises(ParamtoolError, match="ends too early"):
        measured(stored(checkpoint), FileElements(checkpoint), stats=True, jobs=3)


NO_TORCH = """
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from paramtool.elements.changed_values import ChangedValues
from paramtool.elements.equality import equal_values
from paramtool.elements.files import FileElements
from paramtool.elements.measurement import measured
from paramtool.files.reading.safetensors import read_safetensors
from paramtool.operations.comparison.differences import differences
from paramtool.operations.listing.checkpoint import stored
checkpoint = read_safetensors(Path(sys.argv[1]))
listed, elements = stored(checkpoint), FileElements(checkpoint)
rows = measured(listed, elements, stats=True, values=True, jobs=2).rows
assert rows[0].mean is not None and rows[0].values is not None
assert equal_values(listed.rows, elements, jobs=2).groups
assert not differences(listed, listed, ChangedValues(elements, elements)).rows
assert ChangedValues(elements, elements).change("torch.float32", "torch.bfloat16")
assert ChangedValues(elements, elements).digests(["matrix"], [])
assert "torch" not in sys.modules, "torch was imported"
"""


def test_files_need_no_torch(path: Path) -> None:
    """Statistics, values, comparison and equality of files never import it."""
    ended = subprocess.run(
        [sys.executable, "-c", NO_TORCH, str(path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["inspect", "w.safetensors", "--stats", "--values"], 0),
        (["check", "w.safetensors", "--finite"], 0),
        (["shared", "w.safetensors", "--by-value"], 0),
        (["diff", "w.safetensors", "v.safetensors", "--values"], 1),
    ],
)
def test_commands_on_files_need_no_torch(path: Path, arguments: list[str], status: int) -> None:
    """From the command line to the answer."""
    changed = load_file(path)
    changed["matrix"] += 1
    save_file(changed, path.with_name("v.safetensors"))
    ended = watch(*arguments, folder=path.parent)
    assert (ended.status, ended.stderr, ended.torch) == (status, "", False)


def test_chunks_are_whole_blocks() -> None:
    """Or sums of a file would not be those of a live tensor."""
    assert sizes.CHUNK % sizes.BLOCK == 0


def test_a_look_leaves_a_storage_as_it_was() -> None:
    """What was looked at can still be resized, as FSDP does with the storages of a person's model."""
    module = nn.Linear(3, 2)
    assert parameters(module, stats=True).rows[0].nan == 0
    module.weight.untyped_storage().resize_(0)
    assert module.weight.untyped_storage().size() == 0
