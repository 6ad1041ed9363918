"""Checkpoints that benchmarks read, and the plain thing that reads their names and shapes."""

from __future__ import annotations

LEGACY = """
import sys, torch
state = {f"layers.{i}.weight": torch.zeros(512, 441) for i in range(100)}  # 90 MB
torch.save(state, sys.argv[1], _use_new_zipfile_serialization=False)
"""

LOAD = """
import sys, torch
for name, w in torch.load(sys.argv[1], weights_only=True).items():
    print(name, w.shape, w.dtype, w.numel())
"""

RANKS = """
import os, sys, warnings
import torch, torch.distributed as dist
from torch.distributed.checkpoint import save
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

warnings.simplefilter("ignore")
torch.set_num_threads(1)
folder, count = sys.argv[1], 8
rank = next((each for each in range(1, count) if os.fork() == 0), 0)
os.environ.update(MASTER_ADDR="127.0.0.1")
dist.init_process_group("gloo", init_method=f"file://{folder}.store", rank=rank, world_size=count)
mesh = init_device_mesh("cpu", (count,))
part = torch.zeros(16, 32)
state = {f"layers.{i}.weight": DTensor.from_local(part.clone(), mesh, [Shard(0)]) for i in range(1000)}
save({"model": state}, checkpoint_id=folder)
dist.destroy_process_group()
if rank:
    os._exit(0)
for _ in range(1, count):
    os.wait()
"""

METADATA = """
import sys
from torch.distributed.checkpoint import FileSystemReader
for name, each in FileSystemReader(sys.argv[1]).read_metadata().state_dict_metadata.items():
    print(name, each.size, each.properties.dtype)
"""
