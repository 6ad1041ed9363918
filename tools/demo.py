"""The main job on real specs, as a person would type it: ``make demo``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COMMANDS = (
    "inspect configs/mlp.yaml",
    "inspect configs/mlp.yaml --stats",
    "inspect configs/mlp.yaml --module 0 --values",
    "inspect configs/shared.yaml",
    "inspect configs/gpt2.yaml",
    "shared configs/shared.yaml",
    "inspect configs/resnet18.yaml --format tree --depth 2",
    "inspect configs/llama3_70b.yaml",
    "init configs/mlp.yaml",
    "grad configs/shared.yaml --pattern weight --constant 3",
    "grad configs/tiny_lm.yaml",
)

paramtool = Path(sys.executable).with_name("paramtool")
for command in COMMANDS:
    print(f"$ paramtool {command}", flush=True)
    subprocess.run([paramtool, *command.split()], check=True)
    print(flush=True)
