"""Files of every format with bytes changed, lost and doubled are read, or refused in a line of ours."""

from __future__ import annotations

import io
import json
import pickle
import random
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.checkpoint_values import ends_well
from tests.gguf_file import ARRAY, STRING, gguf, text
from tests.test_distributed_checkpoints import GRIDS, parted, pieces
from tests.test_hostile_files import mutated
from tests.test_other_formats import policy

Make = Callable[[Path], Path]
"""Writes a good file or folder below a folder, and returns the file that is changed."""


def arrays(folder: Path) -> Path:
    """Write an archive of NumPy arrays."""
    np.savez(folder / "a.npz", w=np.arange(6.0).reshape(2, 3), f=np.asfortranarray(np.ones((3, 2))))
    return folder / "a.npz"


def compressed(folder: Path) -> Path:
    """Write a compressed archive of NumPy arrays."""
    np.savez_compressed(folder / "a.npz", w=np.arange(6.0).reshape(2, 3))
    return folder / "a.npz"


def array(folder: Path) -> Path:
    """Write an array."""
    np.save(folder / "a.npy", np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    return folder / "a.npy"


def quantized(folder: Path) -> Path:
    """Write a GGUF file."""
    metadata = {
        "general.architecture": (STRING, text("llama", "<")),
        "general.alignment": (4, (32).to_bytes(4, "little")),
        "tokens": (ARRAY, (8).to_bytes(4, "little") + (2).to_bytes(8, "little") + text("a", "<") * 2),
    }
    content = gguf([("w", (3, 2), 0, bytes(24)), ("q", (32, 2), 2, bytes(36))], metadata)
    (folder / "m.gguf").write_bytes(content)
    return folder / "m.gguf"


def exported(folder: Path) -> Path:
    """Write an exported program."""
    path, content = folder / "m.pt2", io.BytesIO()
    torch.export.save(torch.export.export(nn.Linear(2, 3), (torch.ones(1, 2),)), content)
    path.write_bytes(content.getvalue())
    return path


def config(folder: Path) -> Path:
    """Write the config of an exported program beside it: a member of the archive is changed."""
    exported(folder)
    with zipfile.ZipFile(folder / "m.pt2") as file:
        name = next(each for each in file.namelist() if each.endswith("weights_config.json"))
        (folder / "config").write_bytes(file.read(name))
    return folder / "config"


def agent(folder: Path) -> Path:
    """Write an archive of Stable-Baselines3."""
    return policy(folder / "p.zip", {"w": torch.ones(2, 3)})


def chunks(folder: Path) -> Path:
    """Write a distributed checkpoint, whose metadata are changed."""
    return (
        pieces(folder / "d", {"w": (torch.ones(7, 6), GRIDS["both"]), "b": (torch.ones(2), [((0,), (2,))])})
        / ".metadata"
    )


def data(folder: Path) -> Path:
    """Write a distributed checkpoint, whose data are changed."""
    return pieces(folder / "d", {"w": (torch.ones(7, 6), GRIDS["rows"])}) / "__0_0.distcp"


def shards(folder: Path) -> Path:
    """Write pieces in safetensors, one of which is changed."""
    return (
        parted(folder / "d", torch.ones(7, 6), GRIDS["rows"]) / "shard-00002-model-00001-of-00001.safetensors"
    )


MAKERS: dict[str, tuple[Make, int]] = {
    "npz": (arrays, 200), "compressed npz": (compressed, 200), "npy": (array, 100), "gguf": (quantized, 300),
    "pt2": (exported, 2000), "pt2 config": (config, 2000), "sb3": (agent, 600),
    "dcp metadata": (chunks, 3000), "dcp data": (data, 1300), "dcp safetensors": (shards, 300),
}  # fmt: skip
SLOW = [pytest.param(each, 20_000, marks=pytest.mark.slow, id=f"{each}-slow") for each in MAKERS]


@pytest.mark.parametrize(("kind", "times"), [*(pytest.param(each, 150, id=each) for each in MAKERS), *SLOW])
@pytest.mark.filterwarnings("ignore")
def test_mutated_files_end_well(kind: str, times: int, tmp_path: Path) -> None:
    """Nothing but our error, nothing imported, no second too many and no memory that stays."""
    make, head = MAKERS[kind]
    path = make(tmp_path)
    dice, good = random.Random(0), path.read_bytes()
    subject = tmp_path / "d" if path.parent.name == "d" else path
    program = zipfile.ZipFile(tmp_path / "m.pt2") if kind == "pt2 config" else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes, slowest = set(), 0.0
    for number in range(times):
        content = good if number == 0 else mutated(good, dice, head)
        if program is not None:
            subject = repacked(program, content, tmp_path / "x.pt2")
        else:
            path.write_bytes(content)
        started = time.thread_time()
        outcomes.add(ends_well(subject))
        assert number or outcomes == {True}
        slowest = max(slowest, time.thread_time() - started)
    assert outcomes == {True, False}
    assert slowest < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def repacked(program: zipfile.ZipFile, content: bytes, path: Path) -> Path:
    """Write the program with another config."""
    with zipfile.ZipFile(path, "w") as new:
        for each in program.namelist():
            new.writestr(each, content if each.endswith("weights_config.json") else program.read(each))
    return path


@pytest.mark.parametrize("protocol", range(2, 6))
def test_metadata_of_any_protocol_run_nothing(protocol: int, tmp_path: Path) -> None:
    """A metadata that calls a function is data, and is refused as what it is."""

    class Calls:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return eval, ("1/0",)

    (tmp_path / ".metadata").write_bytes(pickle.dumps({"a": Calls()}, protocol))
    assert not ends_well(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
def test_an_index_of_any_depth_ends_well(name: str, tmp_path: Path) -> None:
    """JSON of 100,000 levels is no index."""
    for content in (
        "[" * 100_000,
        '{"weight_map":' + "[" * 100_000,
        '{"a":' * 100_000,
        json.dumps({"weight_map": 1}),
    ):
        (tmp_path / name).write_text(content)
        assert not ends_well(tmp_path)
