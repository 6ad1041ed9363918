"""A decoder of 354 M parameters, as a spec and as a person would write it by hand."""

from __future__ import annotations

SPEC = """
define:
  Block:
    Module:
      ln_1: {LayerNorm: 1024}
      attn: {Linear: [1024, 3072]}
      proj: {Linear: [1024, 1024]}
      ln_2: {LayerNorm: 1024}
      up: {Linear: [1024, 4096]}
      down: {Linear: [4096, 1024]}
model:
  Module:
    wte: {Embedding: [50257, 1024]}
    wpe: {Embedding: [1024, 1024]}
    h: {Repeat: {times: 24, module: Block}}
    ln_f: {LayerNorm: 1024}
"""

BY_HAND = """
import sys
import torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1 = nn.LayerNorm(1024)
        self.attn = nn.Linear(1024, 3072)
        self.proj = nn.Linear(1024, 1024)
        self.ln_2 = nn.LayerNorm(1024)
        self.up = nn.Linear(1024, 4096)
        self.down = nn.Linear(4096, 1024)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte = nn.Embedding(50257, 1024)
        self.wpe = nn.Embedding(1024, 1024)
        self.h = nn.Sequential(*(Block() for _ in range(24)))
        self.ln_f = nn.LayerNorm(1024)


model = Model()
for name, parameter in model.named_parameters():
    if "weight" in name and parameter.ndim == 2:
        nn.init.normal_(parameter, std=0.02)
    elif "bias" in name:
        nn.init.zeros_(parameter)
save_file(model.state_dict(), sys.argv[1])
"""

RULES = ("--pattern", "weight", "--ndim", "2", "--normal", "0.02", "--pattern", "bias", "--zeros")
