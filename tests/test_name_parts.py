"""Dotted names: the modules around one, and what is below a module."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from paramtool.name_parts import MOST_PARTS, below, is_below, modules_around, parents
from tests.conftest import Run

names = st.lists(st.sampled_from(["a", "b", "0", "ab"]), max_size=5).map(".".join)


@given(names, names)
def test_a_name_is_below_the_modules_around_it(name: str, other: str) -> None:
    """Both ways to walk agree, and what is below a module has the rest of its name there."""
    around = list(modules_around(name)) if name else []
    assert around[::-1] == list(parents(name))
    assert is_below(name, other) == (other in around)
    for module in around:
        rest = below(name, module)
        assert (f"{module}.{rest}" if module else rest) == name


def test_the_modules_around_a_name_are_those_that_torch_has() -> None:
    """Every parameter of a network is below exactly the modules that hold it."""
    network = nn.Sequential(nn.MultiheadAttention(4, 2), nn.ModuleDict({"a": nn.Sequential(nn.Linear(1, 1))}))
    owners: dict[str, list[str]] = {name: [] for name, _ in network.named_parameters()}
    for path, module in network.named_modules():
        for name, _ in module.named_parameters():
            owners[f"{path}.{name}" if path else name].append(path)
    assert {name: list(modules_around(name)) for name in owners} == owners


@pytest.mark.parametrize("arguments", [["shared"], ["inspect", "--module", "zz"]])
def test_a_name_of_many_parts_takes_no_memory(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    """A file may name 20,000 modules inside each other: their paths together would take 200 MB."""
    file = tmp_path / "deep.safetensors"
    save_file({"b": torch.ones(2), "c": torch.ones(3)}, file, {".".join("a" * 20_000): "b"})
    tracemalloc.start()
    try:
        assert run(*arguments, str(file)).status in {0, 2}
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert len(list(modules_around(".".join("a" * 20_000)))) == MOST_PARTS + 1  # with the root
