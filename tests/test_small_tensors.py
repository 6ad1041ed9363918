"""Small tensors are drawn, measured and written many at a time: their values are those of each alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from paramtool import Rule, initialize
from paramtool.tensors import streams
from paramtool.tensors.memory import digest

SPEC = """
dtype: {dtype}
model:
  Sequential:
    - Linear: [4, 3]
    - BatchNorm1d: 3
    - Repeat: {{times: 40, module: {{Linear: [5, 5]}}}}
    - Linear: [200, 100]
    - BatchNorm1d: 7
"""

RULES = [
    Rule("kaiming_uniform", pattern="weight", ndim=2),
    Rule("trunc_normal", {"std": 0.1}, pattern=r"^2\.7\."),
    Rule("mul", {"value": 0.3}, pattern=r"^2\.1.*weight"),
    Rule("add", {"value": 0.01}, pattern=r"^2\.2.*bias"),
    Rule("constant", {"val": 0.1}, pattern="0.bias"),
]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_what_is_written_together_is_what_each_is_in_memory(dtype: str, tmp_path: Path) -> None:
    """Constructors, rules that change what was there, buffers of whole numbers, a large one among them."""
    spec, path = tmp_path / "net.yaml", tmp_path / "w.safetensors"
    spec.write_text(SPEC.format(dtype=dtype))
    written = initialize(str(spec), RULES, digests=True, output=path)
    meant = initialize(str(spec), RULES, digests=True)
    tensors = load_file(path)
    assert {each.dtype for each in tensors.values()} == {getattr(torch, dtype), torch.int64}
    for row, known in zip(written.rows, meant.rows, strict=True):
        tensor = tensors[row.name]
        assert row.sha256 == known.sha256 == digest(tensor), row.name
        assert row.mean == pytest.approx(tensor.double().mean().item(), rel=1e-5, abs=1e-7), row.name
        assert (row.min, row.max) == (tensor.double().min().item(), tensor.double().max().item())


def test_one_generator_is_stream_after_stream() -> None:
    """Whatever was drawn before, and however much of it, a stream begins at its beginning."""
    draws = streams.OneStream()
    for name, block, count in (("a", 0, 3), ("b", 5, 700), ("a", 0, 33), ("é", 2**40, 1)):
        known = torch.empty(count).normal_(generator=streams.stream(7, name, block))
        assert torch.equal(torch.empty(count).normal_(generator=draws(7, name, block)), known)
