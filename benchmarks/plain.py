"""What a person would write instead: the other side of the comparisons, as scripts."""

from __future__ import annotations

IMPORT_TORCH = "import torch"

SHAPES = """
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as file:
    shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
"""

SEVEN_REDUCTIONS = """
import sys
from safetensors.torch import load_file
for name, w in load_file(sys.argv[1]).items():
    print(name, w.mean(), w.std(), w.min(), w.max(), w.norm(), (w == 0).sum(), w.isnan().sum())
"""

CAST = """
import sys, torch
from safetensors.torch import load_file, save_file
save_file({name: w.bfloat16() for name, w in load_file(sys.argv[1]).items()}, sys.argv[2])
"""
