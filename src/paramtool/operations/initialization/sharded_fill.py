"""Fill the part of a sharded tensor that this process holds, with the bytes of one process.

Element i of a tensor is number i mod BLOCK of block i // BLOCK of its stream, whoever holds it.  So each
process draws the blocks that its part touches, and keeps what is its own: no mesh, placement or number of
processes changes a value, and an elementwise law needs no communication.  A function that sees the whole
runs in every process alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from paramtool.initializers.functions.laws import Law
from paramtool.operations.initialization.steps import fill_whole, run_law
from paramtool.operations.rules.step import Step
from paramtool.tensors import streams
from paramtool.tensors.scratch import Scratch
from paramtool.tensors.sharding import HeldPart, Lines, held_part

Piece: TypeAlias = tuple[int, Tensor, Callable[[Tensor], Tensor]]
"""The number of a block, local elements of it, and what chooses those from the block."""


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
    """Draw the blocks that the part touches, each once if its elements are in the order of the whole."""
    total, scratch = math.prod(part.shape), Scratch()
    room = torch.empty(min(streams.BLOCK, total), dtype=flat.dtype, device="cpu")
    known = -1
    for number, target, choose in _pieces(part, flat):
        size = min(streams.BLOCK, total - number * streams.BLOCK)
        if number != known:
            run_law(law, room[:size], number, seed, name, scratch)
            known = number
        target.copy_(choose(room))


def _pieces(part: HeldPart, flat: Tensor) -> Iterator[Piece]:
    """Yield numbers of blocks, views of the local elements of each, and what chooses those in the block."""
    lines = part.lines
    if lines is not None:
        yield from _pieces_of_lines(lines, flat)
        return
    for start, stop in _windows(flat.numel()):
        numbers = part.numbers(start, stop)
        blocks, lengths = torch.unique_consecutive(numbers // streams.BLOCK, return_counts=True)
        at = 0
        for number, length in zip(blocks.tolist(), lengths.tolist(), strict=True):
            inside = numbers[at : at + length] - number * streams.BLOCK
            yield number, flat[start + at : start + at + length], partial(_at, inside)
            at += length


def _pieces_of_lines(lines: Lines, flat: Tensor) -> Iterator[Piece]:
    """Yield the pieces of a part that has the same columns of lines that follow each other.

    A block begins and ends within a line; the whole lines between are copied at once.
    """
    if not flat.numel():
        return
    table = flat.view(len(lines.rows), len(lines.columns))
    at, end = lines.rows.start * lines.width, lines.rows.stop * lines.width
    while at < end:
        number, inside = divmod(at, streams.BLOCK)
        line, column = divmod(at, lines.width)
        rest = min(streams.BLOCK - inside, end - at)
        whole = rest // lines.width if column == 0 else 0
        here = line - lines.rows.start
        if whole:
            yield number, table[here : here + whole], partial(_of_lines, lines, inside, whole)
            at += whole * lines.width
            continue
        stop = column + min(rest, lines.width - column)
        begin, until = max(column, lines.columns.start), min(stop, lines.columns.stop)
        if begin < until:
            own = slice(begin - lines.columns.start, until - lines.columns.start)
            first = inside + begin - column
            yield number, table[here, own], partial(_at, slice(first, first + until - begin))
        at += stop - column


def _of_lines(lines: Lines, inside: int, count: int, block: Tensor) -> Tensor:
    """Return the columns of `count` lines that begin `inside` the block."""
    whole = block[inside : inside + count * lines.width].view(count, lines.width)
    return whole[:, lines.columns.start : lines.columns.stop]


def _at(inside: slice | Tensor, block: Tensor) -> Tensor:
    return block[inside]


def _windows(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, streams.BLOCK):
        yield start, min(start + streams.BLOCK, count)
