"""Archives of torch.save: read without torch and without running them, and torch agrees."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from paramtool.elements import files, strided
from paramtool.errors import ParamtoolError
from paramtool.files.reading.pickled_file import read_pickled
from paramtool.records.parameter import STATISTICS_COLUMNS
from paramtool.tensors import streams
from paramtool.tensors.elements import StoredTensors
from paramtool.tensors.statistics import statistics
from tests.conftest import Run
from tests.test_checkpoints import TENSORS, rows

BASE = torch.arange(2000.0 * 90).reshape(2000, 90)
VIEWS = {
    "transposed": BASE.t(),
    "slice": BASE[5:1900, 3:80],
    "steps": BASE[::3, ::2],
    "columns": BASE[:, 7],
    "expanded": torch.arange(3.0).reshape(3, 1).expand(3, 5),
    "mixed": BASE.reshape(20, 100, 90).permute(2, 0, 1)[::4],
    "one": BASE[3:4, 4:5],
    "none": BASE[:0].t(),
}


def elements(path: Path, name: str, shape: torch.Size) -> Tensor:
    """Return a tensor of a file, read block by block."""
    blocks = [block.clone() for block in StoredTensors(read_pickled(path)).blocks(name)]
    return torch.cat(blocks).reshape(shape) if blocks else torch.empty(shape)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a test saves."""
    return tmp_path / "weights.pt"


def test_every_number_is_that_of_torch(run: Run, path: Path) -> None:
    """Shapes, dtypes, statistics and values are those of what torch loads with weights_only=True."""
    torch.save({**TENSORS, **VIEWS}, path)
    found = rows(run("inspect", str(path), "--stats", "--values", "--json").stdout)
    loaded = torch.load(path, weights_only=True)
    assert found.keys() == loaded.keys()
    for name, tensor in loaded.items():
        assert (found[name]["shape"], found[name]["dtype"]) == (
            list(tensor.shape),
            str(tensor.dtype).removeprefix("torch."),
        )
        expected = statistics(tensor)
        for column in STATISTICS_COLUMNS:
            assert found[name][column] == machine(expected[column]), (name, column)


def machine(value: Any) -> Any:
    """Return a number as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", [*TENSORS, *VIEWS])
def test_elements_come_in_order(name: str, path: Path) -> None:
    """The elements of a view that lie apart in the file come in row-major order, bit for bit."""
    torch.save({**TENSORS, **VIEWS}, path)
    expected = torch.load(path, weights_only=True)[name]
    found = elements(path, name, expected.shape)
    found = found.reshape(-1).view(torch.uint8)
    assert torch.equal(found, expected.contiguous().reshape(-1).view(torch.uint8))


def test_values_are_printed_as_torch_prints_them(run: Run, path: Path) -> None:
    """Views look as if they had been loaded."""
    torch.save(VIEWS, path)
    text = run("inspect", str(path), "--values").stdout
    for name, tensor in torch.load(path, weights_only=True).items():
        assert f" {name}\n{tensor!s}\n\n" in text, name


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.data())
def test_any_view_is_read(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], data: st.DataObject
) -> None:
    """Whatever was sliced, permuted and expanded is read as torch reads it."""
    tensor = torch.arange(torch.Size(shape).numel(), dtype=torch.int32).reshape(shape)
    tensor = tensor.permute(data.draw(st.permutations(range(len(shape)))))
    slices = [slice(data.draw(st.integers(0, 2)), None, data.draw(st.integers(1, 2))) for _ in shape]
    tensor = tensor[tuple(slices)].unsqueeze(0)
    tensor = tensor.expand(data.draw(st.integers(1, 3)), *[-1] * len(shape))
    path = tmp_path_factory.getbasetemp() / "view.pt"
    torch.save({"x": tensor}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strided, "SMALL", data.draw(st.sampled_from([1, 8, strided.SMALL])))
        patch.setattr(files, "GATHERED", data.draw(st.sampled_from([1, 5, files.GATHERED])))
        patch.setattr(streams, "BLOCK", data.draw(st.sampled_from([1, 7, streams.BLOCK])))
        found = elements(path, "x", tensor.shape)
    assert torch.equal(found, tensor)


def test_a_tied_weight_is_one_tensor(run: Run, path: Path) -> None:
    """Names of one storage's very same elements are tied; other views of it are not."""
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    torch.save({**nn.Sequential(first, second).state_dict(), "row": first.weight.detach()[1]}, path)
    found = rows(run("inspect", str(path), "--json").stdout)
    assert {name: row["tied_to"] for name, row in found.items()} == {
        "0.weight": None,
        "1.weight": "0.weight",
        "row": None,
    }
    whole, row = read_pickled(path).tensors
    assert whole.storage == row.storage is not None
    assert (whole.start, row.start) == (0, 8)


def test_pickled_parameters_tell_what_is_trained(run: Run, path: Path) -> None:
    """A Parameter that was pickled itself says whether it has a gradient."""
    model = nn.Linear(2, 3)
    model.bias.requires_grad_(False)
    torch.save(dict(model.named_parameters()), path)
    assert "9 parameters in 2 tensors, 36 B; 6 trainable, 3 frozen\n" in run("inspect", str(path)).stdout


STATE = OrderedDict(w=torch.ones(2), b=torch.zeros(1))
OTHER = {"w": torch.ones(5)}


@pytest.mark.parametrize(
    ("saved", "names"),
    [
        (STATE, ["w", "b"]),
        ({"state_dict": STATE, "epoch": 3}, ["w", "b"]),
        ({"model": STATE, "optimizer": {"state": {0: {"m": torch.ones(2)}}, "param_groups": []}}, ["w", "b"]),
        ({"weights": {"inner": {"model": STATE}}}, ["w", "b"]),
        ({"anything": STATE}, ["w", "b"]),
        ({"g": STATE, "state_dict": OTHER}, ["w"]),
        (
            {"w": torch.ones(1), "sub": {"v": torch.ones(1), "n": 3, 0: torch.ones(1)}},
            ["w", "sub.v", "sub.0"],
        ),
        (nn.Linear(1, 1).state_dict(), ["weight", "bias"]),
        ({"w": torch.ones(2), "note": "text", "list": [1, 2.5, None, True], "size": torch.Size([2])}, ["w"]),
        ({"w": torch.ones(2), "more": {1, 2}, "d": torch.float16, "big": 2**70, "c": 1j, "b": b"x"}, ["w"]),
    ],
)
def test_the_state_dict_is_found(saved: Any, names: list[str], path: Path) -> None:
    """It may be the whole, or under a usual key, or the only dict of tensors; the rest is left out."""
    torch.save(saved, path)
    torch.load(path, weights_only=True)
    assert [each.name for each in read_pickled(path).tensors] == names


def test_one_of_several_is_named_after_a_colon(run: Run, path: Path) -> None:
    """Of several state_dicts the usual one is shown, and a note names the others."""
    torch.save({"model": STATE, "ema": OTHER, "epoch": 1}, path)
    found = read_pickled(path)
    assert [each.name for each in found.tensors] == ["w", "b"]
    assert found.notes == (f"this is 'model'; {path}:ema is another",)
    assert [(part.name, part.tensors, part.nbytes) for part in found.contents] == [
        ("ema", 1, 20),
        ("epoch", 0, 0),
    ]
    assert "5 elements in 1 tensor, 20 B\n" in run("inspect", f"{path}:ema").stdout
    wrong = run("inspect", f"{path}:emo")
    assert (wrong.status, wrong.stderr) == (2, f"error: {path}: it has no 'emo'; did you mean 'ema'?\n")


ONES = torch.ones(2), torch.ones(2), torch.zeros(2)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: torch.empty(2, device="meta"), "on the meta device"),
        (lambda: torch.eye(2).to_sparse(), "sparse (COO)"),
        (lambda: torch.eye(2).to_sparse_csr(), "sparse (CSR)"),
        (lambda: torch.ones(2, dtype=torch.complex64).conj(), "a conjugated or negated view"),
        (lambda: torch.ones(2, dtype=torch.complex32), "of a dtype without arithmetic"),
        (lambda: torch.ones(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), "of a packed dtype"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 3, torch.qint8), "quantized"),
        (
            lambda: torch.quantize_per_channel(torch.ones(2), torch.ones(2), torch.zeros(2), 0, torch.quint8),
            "quantized",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_values_is_listed_and_says_why(
    make: Callable[[], Tensor], reason: str, run: Run, path: Path
) -> None:
    """Tensors whose elements are not in the file as they are have a row; the others have their values."""
    tensor = make()
    torch.save({"x": tensor, "y": torch.ones(2)}, path)
    one, other = read_pickled(path).tensors
    assert (one.shape, f"torch.{one.dtype}") == (tuple(tensor.shape), str(tensor.dtype))
    assert (one.missing, other.missing) == (reason, None)
    found = rows(run("inspect", str(path), "--stats", "--json").stdout)
    assert (found["x"]["mean"], found["y"]["mean"]) == (None, 1)
    with pytest.raises(ParamtoolError, match="cannot read the values of 'x'"):
        list(StoredTensors(read_pickled(path)).blocks("x"))


def test_structure_needs_no_torch(path: Path) -> None:
    """An archive of torch is listed without importing torch."""
    torch.save({"w": torch.ones(2)}, path)
    code = (
        "import sys; from paramtool.cli.main import _run; _run(sys.argv[1:]); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_flipped_bits_are_found(run: Run, path: Path) -> None:
    """--verify finds what torch's own loader does not look for."""
    torch.save({"w": torch.ones(2000)}, path)
    with zipfile.ZipFile(path) as archive:
        count = len(archive.namelist())
    fine = run("inspect", str(path), "--verify")
    assert (fine.status, fine.stderr) == (
        0,
        f"note: checksums of all {count} members in {path} match\n",
    )
    content = bytearray(path.read_bytes())
    place = read_pickled(path).tensors[0].position + 4000
    content[place] ^= 0x40
    path.write_bytes(content)
    torch.load(path, weights_only=True)
    assert run("inspect", str(path)).status == 0
    result = run("inspect", str(path), "--verify")
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: checksum mismatch in {path}: weights/data/0;"
        " get another copy, unless torch wrote it without checksums (set_crc32_options)\n"
    )


def test_a_safetensors_file_is_checked_without_sums(run: Run, tmp_path: Path) -> None:
    """--verify says what it could check in a format without checksums."""
    import safetensors.torch

    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"w": torch.ones(1)}, file)
    result = run("inspect", str(file), "--verify")
    assert (result.status, "1 element in 1 tensor" in result.stdout) == (0, True)
    assert result.stderr == (
        f"note: {file}: the sizes and offsets of 1 tensor fit, and their 4 B fill the file without a gap;"
        " the format has no checksums, so changed values would not show\n"
    )


def test_an_archive_of_python_is_read_like_one_of_torch(path: Path, tmp_path: Path) -> None:
    """The zip format is read as its documentation has it, whoever wrote the archive."""
    torch.save({"w": torch.arange(5.0)}, path)
    again = tmp_path / "again.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(again, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert elements(again, "w", torch.Size([5])).tolist() == [0, 1, 2, 3, 4]
