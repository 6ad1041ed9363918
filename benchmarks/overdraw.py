"""How much the processes of a mesh draw for what they hold: ``python -m benchmarks.overdraw``.

A process draws every block that it holds an element of, whole.  So a part that is smaller than a block,
or that has a few columns of each row, costs more draws than it has elements.  `drawn` counts blocks as
`paramtool.operations.initialization.sharded_fill` visits them; a test holds it to that.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

import paramtool
from paramtool.tensors.streams import BLOCK

LLAMA = Path(__file__).parent.parent / "configs" / "llama3_70b.yaml"
TRILLION = {
    "8192": "24576",
    "28672": "73728",
    "out_features: 1024": "out_features: 3072",
    "times: 80": "times: 147",
}
"""What turns Llama 3 70B into a model of 10^12 parameters: width, hidden width, keys and values, depth."""

BY_COLUMNS = ("o_proj.weight", "down_proj.weight")
"""The linear layers that tensor parallelism splits by columns (RowwiseParallel); it copies the norms."""

DRAW, LOOK = 5.0, 8.0
"""Nanoseconds to draw an element by a normal law, and for the report to measure it before and after."""

Box: TypeAlias = tuple[range, ...]
Shapes: TypeAlias = "Counter[tuple[tuple[int, ...], int | None]]"


@dataclass(frozen=True)
class Mesh:
    """Processes in two dimensions.

    Attributes:
        data: those that FSDP2 splits the first dimension of each tensor over.
        tensor: those of tensor parallelism, which splits first.
    """

    data: int = 1
    tensor: int = 1

    def __str__(self) -> str:
        parts = [f"{kind} {size}" for kind, size in (("dp", self.data), ("tp", self.tensor)) if size > 1]
        return " × ".join(parts) or "1"


MESHES = (Mesh(), Mesh(8), Mesh(64), Mesh(512), Mesh(1, 8), Mesh(8, 8), Mesh(64, 8))


@dataclass(frozen=True)
class Overdraw:
    """What the processes of a mesh draw.

    Attributes:
        held: elements of the process that holds most.
        drawn: elements that the process draws that draws most.
        ratio: elements drawn by all, to those held by all.
    """

    held: int
    drawn: int
    ratio: float


def shapes(is_trillion: bool = False) -> Shapes:
    """Count the tensors of each shape, with the dimension that tensor parallelism splits; None for copies."""
    text = LLAMA.read_text("utf-8")
    if is_trillion:
        for old, new in TRILLION.items():
            text = text.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "model.yaml"
        spec.write_text(text, "utf-8")
        rows = paramtool.inspect(spec).rows
    return Counter((row.shape, _split(row.name, row.shape)) for row in rows if row.shape is not None)


def _split(name: str, shape: Sequence[int]) -> int | None:
    if len(shape) < 2:
        return None
    return 1 if name.endswith(BY_COLUMNS) else 0


def chunk(whole: range, parts: int, number: int) -> range:
    """Return the part that torch.chunk gives to process `number` of `parts`; it may be empty."""
    size = math.ceil(len(whole) / parts)
    return whole[number * size : (number + 1) * size]


def held(shape: Sequence[int], split: int | None, mesh: Mesh, data: int, tensor: int) -> Box:
    """Return the indexes of each dimension that the process at (`data`, `tensor`) holds."""
    box = [range(size) for size in shape]
    if split is not None:
        box[split] = chunk(box[split], mesh.tensor, tensor)
    box[0] = chunk(box[0], mesh.data, data)
    return tuple(box)


def drawn(shape: Sequence[int], box: Box, block: int = BLOCK) -> int:
    """Return the elements of the blocks that a box of a vector or a matrix has elements of."""
    total = math.prod(shape)
    if not all(map(len, box)):
        return 0
    width = math.prod(shape[1:])
    columns = box[1] if len(box) > 1 else range(1)
    rows = np.arange(box[0].start, box[0].stop) * width
    first, last = (rows + columns.start) // block, (rows + columns.stop - 1) // block
    if len(columns) == width:  # the rows follow each other
        first, last = first[:1], last[-1:]
    starts = np.append(first[:1], np.maximum(first[1:], last[:-1] + 1))  # a block is drawn for its first row
    count = int((last - starts + 1).clip(0).sum())
    has_end = last[-1] == (total - 1) // block
    return count * block - (-total % block if has_end else 0)


def overdraw(model: Shapes, mesh: Mesh) -> Overdraw:
    """Return what the processes of a mesh hold and draw of a model, for one random rule on each tensor."""
    have, draw = [], []
    for data in range(mesh.data):
        for tensor in range(mesh.tensor):
            boxes = [
                (shape, held(shape, split, mesh, data, tensor), n) for (shape, split), n in model.items()
            ]
            have.append(sum(n * math.prod(map(len, box)) for _, box, n in boxes))
            draw.append(sum(n * drawn(shape, box) for shape, box, n in boxes))
    return Overdraw(max(have), max(draw), sum(draw) / sum(have))


def table() -> str:
    """Return the rows of ``docs/scale.md``: 10^9 elements, and CPU seconds of the slowest process."""
    lines = ["| model | mesh | held | drawn | drawn / held | CPU s |", "|---|---|---:|---:|---:|---:|"]
    for name, is_trillion in (("70 B", False), ("1 T", True)):
        model = shapes(is_trillion)
        for mesh in MESHES:
            found = overdraw(model, mesh)
            seconds = (found.drawn * DRAW + found.held * LOOK) / 1e9
            figures = (f"{found.held / 1e9:,.2f}", f"{found.drawn / 1e9:,.2f}", f"{found.ratio:.2f}")
            lines.append(f"| {name} | {mesh} | {' | '.join(figures)} | {seconds:,.0f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
