"""Transformers of 354 M, 1.4 B and 124 M parameters, as a spec and as a person would write them by hand."""

from __future__ import annotations

LAYERS, MORE_LAYERS = 24, 107
"""Of the transformer with 354 M parameters, and of one with 1.05e9 more."""

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
    h: {Repeat: {times: LAYERS, module: Block}}
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
        self.h = nn.Sequential(*(Block() for _ in range(int(sys.argv[2]))))
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

RUNNABLE = """
model:
  Sequential:
    embed: {Embedding: [50257, 768]}
    encoder:
      TransformerEncoder:
        encoder_layer:
          TransformerEncoderLayer:
            {d_model: 768, nhead: 12, dim_feedforward: 3072, dropout: 0.0, activation: gelu,
             batch_first: true, norm_first: true}
        num_layers: 12
        norm: {LayerNorm: 768}
        enable_nested_tensor: false
    head: {Linear: {in_features: 768, out_features: 50257, bias: false}}
tie: {head.weight: embed.weight}
input: {shape: [4, 128], fill: randint, high: 50257}
loss: sum
"""

_MODEL = """
from collections import OrderedDict
import torch
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(768, 12, 3072, 0.0, "gelu", batch_first=True, norm_first=True)
model = nn.Sequential(OrderedDict(
    embed=nn.Embedding(50257, 768),
    encoder=nn.TransformerEncoder(layer, 12, nn.LayerNorm(768), enable_nested_tensor=False),
    head=nn.Linear(768, 50257, bias=False),
))
model.head.weight = model.embed.weight
"""

RUN_BY_HAND = f"""{_MODEL}loss = model(torch.randint(50257, (4, 128))).sum()
loss.backward()
for name, parameter in model.named_parameters():
    gradient = parameter.grad
    norm = gradient.norm()
    print(name, list(parameter.shape), norm, gradient.abs().max(), norm / parameter.norm())
print(loss)
"""

COUNTED_BY_HAND = f"""
import torch
torch.set_default_device("meta")
{_MODEL}
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

saved = []
with saved_tensors_hooks(lambda tensor: saved.append(tensor.nbytes), lambda tensor: tensor):
    model(torch.randint(50257, (4, 128)))
with torch.no_grad(), FlopCounterMode(display=False) as counter:
    model.eval()(torch.randint(50257, (4, 128)))
print(counter.get_total_flops() // 2, sum(saved))
"""
