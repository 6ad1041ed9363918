"""Fill the part of a sharded tensor that this process holds, with the bytes of one process.

Element i of a tensor is number i mod BLOCK of block i // BLOCK of its stream, whoever holds it.  So each
process draws the blocks that its part touches, and keeps what is its own: no mesh, placement or number of
processes changes a value, and an elementwise law needs no communication.  A function that sees the whole
runs in every process alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from paramtool.initializers.functions.laws import Law
from paramtool.operations.initialization.steps import fill_whole, run_law
from paramtool.operations.rules.step import Step
from paramtool.tensors import streams
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.sharding import HeldPart, held_part


def fill_held(steps: Sequence[Step], tensor: Any, seed: int, name: str) -> None:
    """Run `steps` on a DTensor; every process of its mesh does so.

    Raises:
        ParamtoolError: if a function raises, or does not fill in place, or leaves NaN.
    """
    part = held_part(tensor)
    work = torch.empty(part.local.shape, dtype=part.local.dtype, device="cpu").copy_(part.local)
    for number, step in enumerate(steps):
        if step.law is None:
            work.copy_(_whole(step, number, tensor, work, part, seed, name))
        elif step.law.random:
            _draw(step.law, work.view(-1), part, seed, name)
        else:
            _act(step.law, work.view(-1), part)
    part.local.copy_(work)


def _whole(
    step: Step, number: int, tensor: Any, work: Tensor, part: HeldPart, seed: int, name: str
) -> Tensor:
    """Run a function on the whole tensor, and return the part of its result that is held here."""
    whole = torch.empty(part.shape, dtype=work.dtype, device="cpu")
    if not step.replaces:
        part.local.copy_(work)  # an earlier step has changed it
        whole.copy_(tensor.full_tensor())
    fill_whole(step, number, whole, seed, name)
    return part.of_whole(whole)


def _act(law: Law, flat: Tensor, part: HeldPart) -> None:
    """Run a law that draws nothing, on the elements that it is for."""
    if law.span is None:
        law.draw(flat, None)
        return
    begin, end = law.span
    for start, stop in _windows(flat.numel()):
        numbers = part.numbers(start, stop)
        chosen = ((numbers >= begin) & (numbers < end)).nonzero().view(-1)
        if chosen.numel():
            some = flat[start:stop][chosen]
            law.draw(some, None)
            flat[start:stop][chosen] = some


def _draw(law: Law, flat: Tensor, part: HeldPart, seed: int, name: str) -> None:
    """Draw the blocks that the part touches, each once where its elements follow each other."""
    total, scratch = math.prod(part.shape), Scratch()
    room = torch.empty(min(streams.BLOCK, total), dtype=flat.dtype, device="cpu")
    known = -1
    for number, local, inside in _pieces(part, flat.numel()):
        size = min(streams.BLOCK, total - number * streams.BLOCK)
        if number != known:
            run_law(law, room[:size], number, seed, name, scratch)
            known = number
        flat[local] = room[inside]


def _pieces(part: HeldPart, count: int) -> Iterator[tuple[int, slice, Any]]:
    """Yield the numbers of blocks, the local elements that are of each, and where they are in the block."""
    run = part.run
    if run is not None:
        at, end = run
        while at < end:
            number, inside = divmod(at, streams.BLOCK)
            length = min(streams.BLOCK - inside, end - at)
            yield number, slice(at - run[0], at - run[0] + length), slice(inside, inside + length)
            at += length
        return
    for start, stop in _windows(count):
        numbers = part.numbers(start, stop)
        blocks, lengths = torch.unique_consecutive(numbers // streams.BLOCK, return_counts=True)
        at = 0
        for number, length in zip(blocks.tolist(), lengths.tolist(), strict=True):
            inside = numbers[at : at + length] - number * streams.BLOCK
            yield number, slice(start + at, start + at + length), inside
            at += length


def _windows(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, streams.BLOCK):
        yield start, min(start + streams.BLOCK, count)
