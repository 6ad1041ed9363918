"""Shard a small transformer over several processes, initialize it, train one step and save it.

    torchrun --nproc-per-node 4 sharded_transformer.py

Each process fills the rows that it holds, and no value travels.  The bytes are those that one process would
write, so the weights in the folder `start` are the same for any number of processes; README.md shows it.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint import state_dict_saver as dcp
from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

import paramtool

RULES = [
    paramtool.Rule("normal", {"std": 0.02}, pattern=r"weight$"),
    paramtool.Rule("zeros", pattern=r"bias$"),
    paramtool.Rule("ones", pattern=r"norm\d?\.weight$"),
]


class Transformer(nn.Module):
    """Predicts the next token; 509 is a prime, so the embedding divides evenly over no mesh."""

    def __init__(self, vocabulary: int = 509, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, nhead=4, dim_feedforward=4 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits [batch, time, vocabulary] of the token after each of `tokens` [batch, time]."""
        mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x, src_mask=mask, is_causal=True)
        logits: Tensor = self.head(self.norm(x))
        return logits


def sharded_model() -> Transformer:
    """Return an initialized transformer of which this process holds its part; none ever holds the whole."""
    with torch.device("meta"):  # shapes without memory
        model = Transformer()
    for block in model.blocks:
        fully_shard(block)
    fully_shard(model)
    model.to_empty(device="cpu")  # memory for this process's part
    paramtool.initialize(model, RULES, seed=0)
    return model


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Train on one batch, other tokens in each process."""
    generator = torch.Generator().manual_seed(dist.get_rank())
    tokens = torch.randint(509, (4, 17), generator=generator)
    logits = model(tokens[:, :-1])
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def main() -> None:
    """Run one of the processes that torchrun starts."""
    dist.init_process_group("gloo")
    model = sharded_model()
    dcp.save({"model": get_model_state_dict(model)}, checkpoint_id="start")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    step(model, optimizer)
    weights, moments = get_state_dict(model, optimizer)
    dcp.save({"model": weights, "optim": moments}, checkpoint_id="step1")
    if dist.get_rank() == 0:
        held = sum(each.to_local().numel() for each in model.parameters() if isinstance(each, DTensor))
        whole = sum(each.numel() for each in model.parameters())
        print(f"rank 0 of {dist.get_world_size()} holds {held:,} of {whole:,} parameters")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
