"""Distributed checkpoints are read as torch loads them, and without unpickling anything."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save as dcp_save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.multiprocessing.spawn import spawn

from paramtool.errors import ParamtoolError
from paramtool.tensors import elements
from tests.checkpoint_values import assert_holds, nothing_run, opened, values
from tests.conftest import Run

Boxes = Sequence[tuple[tuple[int, ...], tuple[int, ...]]]


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a small module and the optimizer that took a step with it."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2, dtype=torch.bfloat16))
    optimizer = torch.optim.Adam(module.parameters())
    for each in module.parameters():
        each.grad = torch.ones_like(each)
    optimizer.step()
    return module, optimizer


def save(state: dict[str, Any], folder: Path, **options: Any) -> Path:
    """Write a distributed checkpoint from this process alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp_save(state, checkpoint_id=folder, no_dist=True, **options)
    return folder


def pieces(folder: Path, tensors: Mapping[str, tuple[Tensor, Boxes]], *, ranks: int = 1) -> Path:
    """Write a checkpoint with those boxes of tensors, each in the form that torch writes."""
    folder.mkdir()
    described: dict[str, Any] = {}
    places = {}
    with ExitStack() as stack:
        names = [f"__{rank}_0.distcp" for rank in range(ranks)]
        files = [stack.enter_context((folder / each).open("wb")) for each in names]
        for name, (tensor, boxes) in tensors.items():
            chunks = [ChunkStorageMetadata(torch.Size(at), torch.Size(size)) for at, size in boxes]
            properties = TensorProperties(dtype=tensor.dtype)
            described[name] = TensorStorageMetadata(properties, tensor.shape, chunks)
            for number, (at, size) in enumerate(boxes):
                file, path = files[number % ranks], names[number % ranks]
                start = file.tell()
                part = tensor[tuple(slice(i, i + n) for i, n in zip(at, size, strict=True))]
                torch.save(part.clone(), file)
                places[MetadataIndex(name, at)] = _StorageInfo(path, start, file.tell() - start)
    (folder / ".metadata").write_bytes(pickle.dumps(Metadata(described, {}, places), 4))
    return folder


def test_the_model_is_what_torch_loads_and_the_rest_is_contents(tmp_path: Path) -> None:
    """Every tensor of the model, under its name in it; the optimizer and other values beside it."""
    module, optimizer = trained()
    state = {"model": module.state_dict(), "optim": optimizer.state_dict(), "epoch": 3, "t": torch.ones(2)}
    folder = save(state, tmp_path / "d")
    with nothing_run():
        found = opened(folder)
    assert_holds(found, module.state_dict())
    assert [each.name for each in found.tensors] == list(module.state_dict())
    assert found.format == "distributed checkpoint"
    parts = {each.name: each for each in found.contents}
    assert list(parts) == ["optim", "epoch", "t"]
    moments = [each for entry in optimizer.state.values() for each in entry.values()]
    assert (parts["optim"].tensors, parts["epoch"].type, parts["epoch"].value) == (len(moments), "int", "3")
    assert (parts["t"].type, parts["t"].nbytes) == ("torch.Tensor", 8)


def test_a_key_names_another_part(run: Run, tmp_path: Path) -> None:
    """``folder:optim`` lists the moments; a key that is not there is an error with those that are."""
    module, optimizer = trained()
    folder = save({"model": module.state_dict(), "optim": optimizer.state_dict()}, tmp_path / "d")
    expected = {
        f"state.{number}.{key}": each
        for number, entry in optimizer.state_dict()["state"].items()
        for key, each in entry.items()
    }
    assert_holds(opened(folder, "optim"), expected)
    assert run("inspect", f"{folder}:optim", "--all").stdout.count("exp_avg_sq") == 6
    result = run("inspect", f"{folder}:optimizer")
    assert (result.status, result.stderr) == (
        2,
        f"error: {folder}:optimizer has no tensors under 'optimizer'; it has model, optim\n",
    )


@pytest.mark.parametrize(
    ("keys", "prefix"),
    [
        ((), ""),
        (("app", "model"), ""),
        (("model", "module"), ""),
        (("generator",), "generator."),
        (("net",), ""),
    ],
)
def test_wherever_the_model_is_it_is_found(keys: tuple[str, ...], prefix: str, tmp_path: Path) -> None:
    """At the top, below ``app``, and under a name that nobody else uses."""
    module, optimizer = trained()
    state: dict[str, Any] = dict(module.state_dict())
    for key in reversed(keys):
        state = {key: state}
    if "app" in state:
        state["app"]["optim"] = optimizer.state_dict()
    folder = save({**state, "step": 1}, tmp_path / "d")
    assert_holds(opened(folder), {f"{prefix}{name}": each for name, each in module.state_dict().items()})


def test_an_optimizer_alone_is_not_shown_as_parameters(tmp_path: Path) -> None:
    """Its moments are no model; the error names the key that shows them."""
    _, optimizer = trained()
    folder = save({"optim": optimizer.state_dict()}, tmp_path / "d")
    with pytest.raises(ParamtoolError, match="holds no model, only optim") as caught:
        opened(folder)
    assert caught.value.hint == "name a part after a colon, e.g. :optim"


def test_tensors_that_are_not_in_row_major_order(tmp_path: Path) -> None:
    """A transposed tensor, a scalar, an empty one and one byte elements have torch's values."""
    state = {
        "t": torch.arange(6.0).reshape(2, 3).t(),
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 3),
        "f8": torch.arange(4.0).to(torch.float8_e4m3fn),
        "bool": torch.tensor([True, False]),
        "view": torch.arange(100.0)[90:],
    }
    assert_holds(opened(save(state, tmp_path / "d")), state)


GRIDS: dict[str, Boxes] = {
    "rows": [((0, 0), (2, 6)), ((2, 0), (5, 6))],
    "columns": [((0, 4), (7, 2)), ((0, 0), (7, 4))],
    "both": [((0, 0), (3, 3)), ((0, 3), (3, 3)), ((3, 0), (4, 5)), ((3, 5), (4, 1))],
    "whole": [((0, 0), (7, 6))],
    "a spiral": [((0, 0), (2, 4)), ((0, 4), (5, 2)), ((5, 2), (2, 4)), ((2, 0), (5, 2)), ((2, 2), (3, 2))],
    "with an empty one": [((0, 0), (7, 6)), ((7, 0), (0, 6))],
}


@pytest.mark.parametrize("block", [1, 4, 5, 13, 1000])
@pytest.mark.parametrize("grid", GRIDS)
def test_chunks_are_joined_in_row_major_order(
    grid: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a tensor is cut and however few elements are read at once."""
    monkeypatch.setattr(elements, "BLOCK", block)
    tensor = torch.arange(42.0).reshape(7, 6)
    found = opened(pieces(tmp_path / "d", {"w": (tensor, GRIDS[grid])}))
    assert_holds(found, {"w": tensor})
    sizes = [each.numel() for each in elements.StoredTensors(found).blocks("w")]
    assert all(each == block for each in sizes[:-1]) and sum(sizes) == 42


WRONG: dict[str, tuple[Boxes, str]] = {
    "a hole": ([((0, 0), (3, 6))], "24 of its 42 elements are in no piece"),
    "an overlap": ([((0, 0), (4, 6)), ((3, 0), (4, 6))], "its pieces overlap"),
    "an overlap and a hole": ([((0, 0), (4, 6)), ((0, 0), (3, 6))], "its pieces overlap"),
    "beyond the end": ([((1, 0), (7, 6))], "a piece reaches beyond it"),
}


@pytest.mark.parametrize("case", WRONG)
def test_chunks_that_are_not_the_tensor_are_refused(case: str, tmp_path: Path) -> None:
    """Half a tensor is not shown as the tensor."""
    boxes, message = WRONG[case]
    folder = pieces(tmp_path / "d", {"w": (torch.ones(7, 6), [((0, 0), (7, 6))])})
    chunks = [ChunkStorageMetadata(torch.Size(at), torch.Size(size)) for at, size in boxes]
    described = TensorStorageMetadata(TensorProperties(dtype=torch.float32), torch.Size((7, 6)), chunks)
    places = {
        MetadataIndex("w", at): _StorageInfo("__0_0.distcp", 200 * number, 200)
        for number, (at, _) in enumerate(boxes)
    }
    metadata = Metadata({"w": described}, {}, places)
    (folder / ".metadata").write_bytes(pickle.dumps(metadata, 4))
    with pytest.raises(
        ParamtoolError, match=rf"does not fit its files: the tensor 'w': {message}|fewer bytes"
    ):
        opened(folder)


def test_broken_folders_are_told_in_a_line(run: Run, tmp_path: Path) -> None:
    """A file that is cut off, not there or not the one that was meant; a .metadata of something else."""
    tensor = torch.arange(42.0).reshape(7, 6)
    folder = pieces(tmp_path / "d", {"w": (tensor, GRIDS["rows"])})
    data, metadata = folder / "__0_0.distcp", (folder / ".metadata").read_bytes()
    content = data.read_bytes()

    def said(*options: str) -> str:
        result = run("inspect", str(folder), *options)
        assert (result.status, result.stderr.count("\n")) == (2, 1)
        return result.stderr

    data.write_bytes(content[:-1])
    assert "__0_0.distcp is too short; it was cut off" in said()
    data.write_bytes(b"\0" * len(content))
    assert run("inspect", str(folder)).status == 0
    assert "__0_0.distcp is not a zip archive that paramtool can read" in said("--stats")
    data.unlink()
    assert run("inspect", str(folder)).status == 0
    assert opened(folder).notes == ("without values: w (in __0_0.distcp, which does not exist)",)
    for wrong in (b"", b"\x80", metadata[:-200], pickle.dumps(print, 4), pickle.dumps({"a": 1}), b"junk"):
        (folder / ".metadata").write_bytes(wrong)
        assert "is not the metadata of a distributed checkpoint: " in said()
    (folder / ".metadata").write_bytes(metadata.replace(b"__0_0.distcp", b"/dev/zero\x8c\x01x"[:12]))
    assert run("inspect", str(folder)).status == 2
    (folder / ".metadata").unlink()
    (folder / ".metadata").symlink_to("/dev/zero")
    assert "is a link to /dev/zero, which is not a file" in said()


def test_a_file_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    """What .metadata names is a file of its folder."""
    folder = pieces(tmp_path / "d", {"w": (torch.ones(2, 2), [((0, 0), (2, 2))])})
    found = (folder / ".metadata").read_bytes()
    (folder / ".metadata").write_bytes(found.replace(b"__0_0.distcp", b"../../secret"))
    with pytest.raises(ParamtoolError, match=r"names the file '../../secret', which is not in it"):
        opened(folder)


# in safetensors files


def parted(folder: Path, tensor: Tensor, boxes: Boxes) -> Path:
    """Write a file for each box as `HuggingFaceStorageWriter` does."""
    folder.mkdir()
    for number, (at, size) in enumerate(boxes, 1):
        part = tensor[tuple(slice(i, i + n) for i, n in zip(at, size, strict=True))].clone()
        info = json.dumps({"w": {"saved_offsets": at}})
        metadata = {"DCP_SHARDING_INFO": info, "DCP_VERSION": "1.0", "format": "pt"}
        file = folder / f"shard-{number:05d}-model-00001-of-00001.safetensors"
        safetensors.torch.save_file({"w": part}, file, metadata)
    return folder


@pytest.mark.parametrize("block", [5, 1000])
@pytest.mark.parametrize("grid", ["rows", "columns", "both", "whole", "a spiral"])
def test_pieces_in_safetensors_are_joined(
    grid: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has the whole tensor, though each file has a part under its name."""
    monkeypatch.setattr(elements, "BLOCK", block)
    tensor = torch.arange(42, dtype=torch.int16).reshape(7, 6)
    found = opened(parted(tmp_path / "d", tensor, GRIDS[grid]))
    assert_holds(found, {"w": tensor})
    assert (found.notes, found.metadata) == ((), {"DCP_VERSION": "1.0", "format": "pt"})


def test_one_piece_alone_is_listed_as_a_piece(tmp_path: Path) -> None:
    """Half a tensor has its own shape, and a note says that it is half a tensor."""
    folder = parted(tmp_path / "d", torch.ones(7, 6), GRIDS["rows"])
    file = folder / "shard-00001-model-00001-of-00001.safetensors"
    found = opened(file)
    assert found.tensors[0].shape == (2, 6)
    assert found.notes == (
        f"{file} is one piece of a distributed checkpoint: each shape is that of the piece here;"
        " name its folder for the whole tensors",
    )


def test_pieces_that_do_not_fit_are_refused(run: Run, tmp_path: Path) -> None:
    """A missing file, or metadata of another form."""
    folder = parted(tmp_path / "d", torch.ones(7, 6), GRIDS["both"])
    (folder / "shard-00001-model-00001-of-00001.safetensors").unlink()
    message = "has 'w' in pieces: 9 of its 42 elements are in no piece\n"
    assert run("inspect", str(folder)).stderr.endswith(message)
    for info in ("[", "[" * 2000, '{"w": 1}', '{"w": {"saved_offsets": [-1, 0]}}', "{}"):
        safetensors.torch.save_file(
            {"w": torch.ones(2)},
            folder / "shard-00002-model-00001-of-00001.safetensors",
            {"DCP_SHARDING_INFO": info},
        )
        result = run("inspect", str(folder))
        assert (result.status, result.stderr.count("\n")) == (2, 1)


def test_torch_writes_and_we_join(tmp_path: Path) -> None:
    """What torch's own writer gives for one process."""
    module, _ = trained()
    writer = HuggingFaceStorageWriter(str(tmp_path / "d"), save_distributed=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp_save(module.state_dict(), storage_writer=writer, no_dist=True)
    assert_holds(opened(tmp_path / "d"), module.state_dict())


# with process groups


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """Be a process group of one."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("group")
def test_a_group_of_one_with_dtensors(tmp_path: Path) -> None:
    """A DTensor has its global shape."""
    mesh = init_device_mesh("cpu", (1,))
    whole = torch.arange(12.0).reshape(4, 3)
    dcp_save({"model": {"w": distribute_tensor(whole, mesh, [Shard(0)])}}, checkpoint_id=tmp_path / "d")
    assert_holds(opened(tmp_path / "d"), {"w": whole})


def _whole() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "rows": torch.randn(7, 5),
        "columns": torch.randn(4, 9, dtype=torch.float64),
        "all": torch.randn(3).bfloat16(),
        "one": torch.randn(1, 3),
        "scalar": torch.tensor(5),
    }


def _rank(rank: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1")
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    places = {"rows": Shard(0), "columns": Shard(1), "all": Replicate(), "one": Shard(0)}
    state = {
        name: distribute_tensor(each, mesh, [places[name]]) if name in places else each
        for name, each in _whole().items()
    }
    dcp_save({"model": state, "step": 7}, checkpoint_id=f"{folder}/dcp")
    writer = HuggingFaceStorageWriter(f"{folder}/hf", save_distributed=True)
    dcp_save(state, storage_writer=writer)
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("block", [3, 1000])
def test_two_ranks(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uneven shards along either dimension, a replica, and a rank with nothing of a tensor."""
    spawn(_rank, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    monkeypatch.setattr(elements, "BLOCK", block)
    found = opened(tmp_path / "dcp")
    assert_holds(found, _whole())
    assert [(each.name, each.value) for each in found.contents] == [("step", "7")]
    loaded = {name: torch.empty_like(each) for name, each in _whole().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        load({"model": loaded}, checkpoint_id=tmp_path / "dcp", no_dist=True)
    assert all(torch.equal(loaded[name], each) for name, each in values(found).items())
    assert_holds(opened(tmp_path / "hf"), _whole())
