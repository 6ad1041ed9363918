"""One small file or folder for each kind of MODEL that the docs name, made by what usually makes it."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed

from tests.gguf_file import gguf

LAB = """\
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self, width: int = 16, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.head = nn.Linear(width, 100, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = x + block(x).relu()
        return self.head(x)
"""
"""The class that README's examples are about: its head is its embedding."""


def write_models(folder: Path) -> None:
    """Write all of them to `folder`."""
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _pickled(folder, net)
        _distributed(folder, net)
    write_lab(folder)
    _others(folder, net)
    _folders(folder, net)


def _pickled(folder: Path, net: nn.Module) -> None:
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    state = {"state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    torch.save(state, folder / "train.ckpt")
    torch.save(net.state_dict(), folder / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(net, folder / "whole.pt")
    torch.jit.script(net).save(str(folder / "script.pt"))  # type: ignore[no-untyped-call]
    torch.export.save(torch.export.export(net, (torch.ones(2, 4),)), folder / "exported.pt2")
    arrays = {name: each.numpy() for name, each in net.state_dict().items()}
    (folder / "arrays.pkl").write_bytes(pickle.dumps(arrays))


def _distributed(folder: Path, net: nn.Module) -> None:
    state = {"model": net.state_dict(), "optim": {"step": torch.ones(1)}}
    save_distributed(state, checkpoint_id=folder / "dcp", no_dist=True)
    writer = HuggingFaceStorageWriter(str(folder / "pieces"), save_distributed=True)
    save_distributed(net.state_dict(), storage_writer=writer, no_dist=True)


def write_lab(folder: Path) -> None:
    """Write the class that README is about, and a checkpoint of it."""
    (folder / "lab.py").write_text(LAB)
    names: dict[str, Any] = {}
    exec(LAB, names)
    torch.manual_seed(0)
    net = names["Net"]()
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.arange(8).view(2, 4)).square().mean().backward()
    optimizer.step()
    state = {"model": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}
    torch.save(state, folder / "last.ckpt")


def _others(folder: Path, net: nn.Module) -> None:
    arrays = {name: each.numpy() for name, each in net.state_dict().items()}
    np.savez(folder / "arrays.npz", **arrays)
    np.save(folder / "embedding.npy", np.ones((3, 4), "float32"))
    (folder / "tiny.gguf").write_bytes(gguf([("token_embd.weight", [4, 3], 0, bytes(48))]))
    policy = io.BytesIO()
    torch.save(net.state_dict(), policy)
    with zipfile.ZipFile(folder / "ppo.zip", "w") as archive:
        archive.writestr("data", "{}")
        archive.writestr("policy.pth", policy.getvalue())


def _folders(folder: Path, net: nn.Module) -> None:
    state = net.state_dict()
    for name in ("sharded", "unindexed", "checkpoint-500", "llama", "runs"):
        (folder / name).mkdir()
    shards: dict[str, list[str]] = {"1": ["0.weight", "0.bias"], "2": ["2.weight", "2.bias"]}
    files = {number: f"model-0000{number}-of-00002.safetensors" for number in shards}
    for number, names in shards.items():
        for place in ("sharded", "unindexed"):
            save_file({name: state[name] for name in names}, folder / place / files[number])
        torch.save({name: state[name] for name in names}, folder / "llama" / f"consolidated.0{number}.pth")
        torch.save(state, folder / "runs" / f"epoch{number}.pt")
    weights = {name: files[number] for number, names in shards.items() for name in names}
    index = json.dumps({"metadata": {}, "weight_map": weights})
    (folder / "sharded" / "model.safetensors.index.json").write_text(index)
    save_file(state, folder / "checkpoint-500" / "model.safetensors")
    torch.save({"state": {}}, folder / "checkpoint-500" / "optimizer.pt")
    cache = folder / "models--x--y"
    (cache / "blobs").mkdir(parents=True)
    (cache / "snapshots" / "abc").mkdir(parents=True)
    save_file(state, cache / "blobs" / "123")
    (cache / "snapshots" / "abc" / "model.safetensors").symlink_to("../../blobs/123")
