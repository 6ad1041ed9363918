"""The values of distributed checkpoints: every command reads what `dcp.load` reads, in bounded memory."""

from __future__ import annotations

import random
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from paramtool.errors import ParamtoolError
from paramtool.files.reading import pickle_machine
from paramtool.files.reading.open_file import opened as opened_file
from paramtool.files.reading.pickle_bytes import Span
from tests.checkpoint_values import assert_holds, opened
from tests.conftest import Run
from tests.processes import watch
from tests.test_distributed_checkpoints import Boxes, pieces

DTYPES = (
    torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.complex64, torch.complex128,
    torch.bool, torch.uint16, torch.int64,
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cut(
    dice: random.Random, at: tuple[int, ...], size: tuple[int, ...], depth: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield boxes that together are one box, cut at random along any dimension; some are empty."""
    if not size or depth == 0:
        yield at, size
        return
    dim = dice.randrange(len(size))
    first = dice.randint(0, size[dim])
    for begin, length in ((0, first), (first, size[dim] - first)):
        here = (*at[:dim], at[dim] + begin, *at[dim + 1 :])
        yield from cut(dice, here, (*size[:dim], length, *size[dim + 1 :]), dice.randrange(depth))


def random_tensors(dice: random.Random) -> dict[str, tuple[Tensor, Boxes]]:
    found: dict[str, tuple[Tensor, Boxes]] = {}
    for number in range(dice.randint(1, 4)):
        shape = tuple(dice.choice([0, 1, 2, 3, 5, 8, 13]) for _ in range(dice.randint(0, 4)))
        tensor = (torch.rand(shape) * 100).to(dice.choice(DTYPES))
        boxes = [each for each in cut(dice, (0,) * len(shape), shape, 4) if 0 not in each[1]]
        dice.shuffle(boxes)
        found[f"w{number}"] = tensor, boxes
    return found


def bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_however_a_tensor_is_cut_its_values_are_those_that_torch_loads(number: int) -> None:
    """Uneven boxes along several dimensions, in the files of one to three ranks; scalars and nothing."""
    dice = random.Random(number)
    torch.manual_seed(number)
    tensors = random_tensors(dice)
    with tempfile.TemporaryDirectory() as room, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = pieces(Path(room) / "d", tensors, ranks=dice.randint(1, 3))
        loaded = {name: torch.zeros_like(tensor) for name, (tensor, _) in tensors.items()}
        load(loaded, checkpoint_id=path, no_dist=True)
        assert all(torch.equal(bits(loaded[name]), bits(each)) for name, (each, _) in tensors.items())
        assert_holds(opened(path), loaded)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2, dtype=torch.bfloat16))


FACTORY = """
import torch
from torch import nn
def net():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2, dtype=torch.bfloat16))
"""


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_every_command_takes_a_distributed_checkpoint(run: Run) -> None:
    """What was saved is compared, converted, checked and loaded as the file of torch.save is."""
    state = net().state_dict()
    moments = {"state": {name: each * 2 for name, each in state.items()}}
    save({"model": state, "optim": moments}, checkpoint_id="d", no_dist=True)
    torch.save(state, "w.pt")
    Path("lab.py").write_text(FACTORY)

    def holds(*arguments: str) -> str:
        result = run(*arguments)
        assert result.status == 0, (arguments, result.stderr)
        return result.stdout

    def rows(name: str) -> str:
        return holds("inspect", name, "--stats", "--format", "csv")

    assert rows("d") == rows("w.pt")
    assert "no difference between d and w.pt, including values" in holds("diff", "d", "w.pt", "--values")
    assert "9 of 9 finite" in holds("check", "d", "--finite")
    assert holds("convert", "d", "-o", "shards", "--max-shard-size", "40").endswith(" more\n")
    holds("diff", "d", "shards", "--values")
    holds("convert", "d:optim.state", "-o", "moments.safetensors")
    holds("diff", "d:optim.state", "moments.safetensors", "--values")
    holds("init", "lab.py:net", "-w", "d", "-p", "0.bias", "--zeros", "-o", "w.safetensors")
    assert run("diff", "d", "w.safetensors", "--values", "--format", "csv").stdout.count("\n") == 2


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_equal_values_are_found_in_chunks(run: Run) -> None:
    """Two tensors in other files and with other cuts are equal by value."""
    tensor = torch.arange(4096.0).reshape(64, 64)
    columns: Boxes = [((0, 0), (64, 7)), ((0, 7), (64, 57))]
    pieces(Path("d"), {"a": (tensor, [((0, 0), (64, 64))]), "b": (tensor, columns)}, ranks=2)
    found = run("shared", "d", "--by-value").stdout
    assert [line.split()[1:3] for line in found.splitlines()[2:4]] == [["equal", "a"], ["equal", "b"]]


@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_a_dtype_without_arithmetic_leaves_the_others_their_values(run: Run) -> None:
    """The tensor is listed, and a note says why it has no numbers."""
    tensors = {"h": torch.ones(2, dtype=torch.complex64).to(torch.complex32), "w": torch.ones(2)}
    pieces(Path("d"), {name: (each, [((0,), (2,))]) for name, each in tensors.items()})
    result = run("inspect", "d", "--stats", "--columns", "name,mean", "--format", "csv")
    assert result.stdout == "name,mean\nh,\nw,1.0\n"
    assert result.stderr == "note: without values: h (of a dtype without arithmetic)\n"


VALUES = (
    ("inspect", "d", "--stats"),
    ("diff", "d", "good", "--values"),
    ("check", "d", "--finite"),
    ("shared", "d", "--by-value"),
    ("convert", "d", "-o", "out"),
    ("init", "lab.py:net", "-w", "d", "-p", "0.bias", "--zeros", "-o", "out.safetensors"),
)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def written(content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(content)

    return change


def replace(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = path.read_bytes()
        assert old in content and len(old) == len(new)
        path.write_bytes(content.replace(old, new))

    return change


BROKEN: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "cut off": ("__0_0.distcp", shorten, "d/.metadata does not fit its files: __0_0.distcp is too short"),
    "empty": ("__0_0.distcp", written(b""), "__0_0.distcp is too short; it was cut off"),
    "outside": (".metadata", replace(b"__0_0.distcp", b"../../secret"), "'../../secret', which is not in it"),
    "a pickle that runs": (
        ".metadata",
        written(b"cos\nsystem\n(S'touch run'\ntR."),
        "is not the metadata of a distributed checkpoint: it lacks a Metadata",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_what_is_broken_is_one_line_in_every_command(case: str, run: Run) -> None:
    """Nothing is written and nothing is run."""
    save({"model": net().state_dict(), "optim": {"m": torch.ones(9)}}, checkpoint_id="good", no_dist=True)
    shutil.copytree("good", "d")
    Path("lab.py").write_text(FACTORY)
    name, change, message = BROKEN[case]
    change(Path("d") / name)
    before = sorted(map(str, Path().iterdir()))
    for arguments in VALUES:
        result = run(*arguments)
        assert (result.status, result.stdout) == (2, ""), arguments
        assert message in result.stderr, arguments
        assert [line.partition(": ")[0] for line in result.stderr.splitlines()][-1] == "error"
    assert sorted(map(str, Path().iterdir())) == before


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_a_rank_whose_file_is_missing_is_told(run: Run) -> None:
    """Names and shapes are shown; what needs the values ends with 2 and says which file it lacks."""
    tensor = torch.ones(4, 4)
    rows: Boxes = [((0, 0), (2, 4)), ((2, 0), (2, 4))]
    pieces(Path("d"), {"0.weight": (tensor, rows), "1.weight": (tensor, rows)}, ranks=2)
    (Path("d") / "__1_0.distcp").unlink()
    assert run("inspect", "d").status == 0
    for arguments in (("check", "d", "--finite"), ("shared", "d", "--by-value"), ("convert", "d", "-o", "o")):
        result = run(*arguments)
        assert result.status == 2
        assert "in __1_0.distcp, which does not exist" in result.stderr
    assert not Path("o").exists()


def test_memory_does_not_grow_with_the_pieces(folder: Path) -> None:
    """Eight times the tensor, in four pieces side by side, is read in about the same memory."""
    peaks: dict[str, list[float]] = {}
    for rows in (1024, 8192):
        boxes = [((0, at), (rows, 1024)) for at in range(0, 4096, 1024)]
        path = pieces(folder / f"d{rows}", {"w": (torch.rand(rows, 4096), boxes)}, ranks=4).name
        for command in (
            ("inspect", path, "--stats"),
            ("convert", path, "-o", f"{path}.safetensors"),
            ("diff", path, f"{path}.safetensors", "--values"),
        ):
            found = watch(*command, folder=folder)
            assert found.status == 0, found.stderr
            peaks.setdefault(command[0], []).append(found.megabytes)
    assert all(large < small + 40 for small, large in peaks.values()), peaks


def test_the_pieces_that_torch_could_not_join_are_found(run: Run) -> None:
    """`HuggingFaceStorageWriter` leaves them in a folder of its own where joining them fails."""
    Path("d/sharded").mkdir(parents=True)
    Path("d/sharded/shard-00001-model-00001-of-00001.safetensors").touch()
    assert run("inspect", "d").stderr.endswith("; is it one of d/sharded?\n")
    Path("e").mkdir()
    Path("e/sharded").touch()
    assert "sharded" not in run("inspect", "e").stderr


def test_a_large_folder_of_many_ranks_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.metadata` is all small records: about a step per byte, where one of tensors has one per four."""
    boxes: Boxes = [((row,), (1,)) for row in range(300)]
    path = pieces(Path("d"), {"w": (torch.arange(300.0), boxes)}) / ".metadata"
    monkeypatch.setattr(pickle_machine, "MOST_STEPS", 1000)
    assert opened(path.parent).tensors[0].shape == (300,)
    with opened_file(path) as file, pytest.raises(ParamtoolError, match="takes more than"):
        pickle_machine.read_pickle(Span(file, 0, file.size))
