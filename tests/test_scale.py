"""The figures of docs/scale.md that arithmetic gives, and the geometry that they are counted by."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import overdraw
from benchmarks.overdraw import Mesh, chunk, drawn, held
from paramtool.initializers.functions import elementwise
from paramtool.operations.initialization import sharded_fill
from paramtool.operations.initialization.steps import run_law
from paramtool.tensors import streams
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.sharding import HeldPart
from tests.conftest import ROOT


def test_the_page_has_the_table_of_overdraw() -> None:
    """What `python -m benchmarks.overdraw` prints."""
    assert overdraw.table() in (ROOT / "docs" / "scale.md").read_text("utf-8")


@given(st.integers(0, 2**32))
def test_the_blocks_that_are_counted_are_those_that_a_process_draws(number: int) -> None:
    """For random tensors and meshes, evenly divided or not, each block is drawn once."""
    dice = random.Random(number)
    shape = tuple(dice.randint(1, 40) for _ in range(dice.randint(1, 2)))
    split = dice.choice([None, *range(len(shape))])
    mesh = Mesh(dice.randint(1, 5), dice.randint(1, 4))
    block = dice.choice([1, 7, 16, 64, 5000])
    box = held(shape, split, mesh, dice.randrange(mesh.data), dice.randrange(mesh.tensor))
    indexes = tuple(torch.arange(each.start, each.stop) for each in box)
    local = torch.empty([len(each) for each in box])
    part = HeldPart(local, shape, indexes, None)
    total = local.numel() and torch.Size(shape).numel()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK", block)
        visited = [each for each, _, _ in sharded_fill._pieces(part, local.view(-1))]
    changes = [each for at, each in enumerate(visited) if at == 0 or visited[at - 1] != each]
    assert drawn(shape, box, block) == sum(min(block, total - each * block) for each in changes)


@pytest.mark.parametrize(("length", "parts"), [(10, 4), (3, 8), (509, 4), (8, 8), (1, 1)])
def test_chunks_are_those_of_torch(length: int, parts: int) -> None:
    """The last is shorter, and further ones are empty."""
    expected = [each.tolist() for each in torch.chunk(torch.arange(length), parts)]
    found = [list(chunk(range(length), parts, number)) for number in range(parts)]
    assert found == expected + [[]] * (parts - len(expected))


@given(st.integers(0, 2**32))
def test_a_part_of_any_tensor_is_filled_as_the_whole_is(number: int) -> None:
    """Parts of up to four dimensions, sharded along any of them, with gaps and in another order too."""
    dice = random.Random(number)
    shape = tuple(dice.randint(1, 9) for _ in range(dice.randint(0, 4)))
    indexes = []
    for size in shape:
        begin, end = sorted((dice.randint(0, size), dice.randint(0, size)))
        others = dice.sample(range(size), end - begin)
        chosen = dice.choice([list(range(size)), list(range(size)), list(range(begin, end)), others])
        indexes.append(torch.tensor(chosen, dtype=torch.int64))
    local = torch.zeros([len(each) for each in indexes])
    part = HeldPart(local, shape, tuple(indexes), None)
    whole = torch.empty(shape)
    law = elementwise.normal(shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK", dice.choice([1, 7, 16, 64, 5000]))
        for at, block in streams.blocks(whole):
            run_law(law, block, at, 3, "w", Scratch())
        sharded_fill._draw(law, local.view(-1), part, 3, "w")
    assert torch.equal(local, part.of_whole(whole))
