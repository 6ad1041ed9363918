"""What `convert` writes is what transformers reads, where that is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.conftest import Run

os.environ["HF_HUB_OFFLINE"] = "1"
transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("shards", [(), ("--max-shard-size", "20KB")], ids=["one file", "shards"])
def test_a_folder_that_was_cast_loads(run: Run, tmp_path: Path, shards: tuple[str, ...]) -> None:
    """Every parameter is that of the source, cast; the tie is there."""
    config = transformers.GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=50, n_positions=8)
    source, target = tmp_path / "source", tmp_path / "target"
    before = transformers.GPT2LMHeadModel(config).eval()
    before.save_pretrained(source)
    result = run("convert", str(source), "-o", str(target), "--dtype", "bfloat16", *shards)
    assert result.status == 0, result.stderr
    assert len(list(target.glob("*.safetensors"))) == 1 or shards
    shutil.copy(source / "config.json", target)
    after = transformers.GPT2LMHeadModel.from_pretrained(target, dtype=torch.bfloat16)
    expected = before.to(torch.bfloat16).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in after.state_dict().items())
    assert after.lm_head.weight is after.transformer.wte.weight
