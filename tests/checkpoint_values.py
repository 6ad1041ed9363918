"""What tests read from checkpoints: every value, to be compared with what torch has."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import torch
from torch import Tensor

from paramtool.elements.dtypes import Array
from paramtool.elements.files import FileElements
from paramtool.errors import ParamtoolError
from paramtool.files import reading
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.formats import read_checkpoint
from paramtool.operations.listing.checkpoint import stored
from paramtool.tensors.arrays import tensor_of
from paramtool.tensors.elements import StoredTensors

_WATCHED: list[list[str]] = []


def opened(path: Path, key: str | None = None) -> Checkpoint:
    """Open a file or folder under its own name."""
    return read_checkpoint(path, key, str(path))


def values(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Return every tensor that has values, under every name."""
    elements = StoredTensors(checkpoint)
    found = {}
    for name, each in checkpoint.by_name.items():
        if each.missing is None:
            blocks = [block.clone() for block in elements.blocks(name)]
            flat = torch.cat(blocks) if blocks else torch.empty(0, dtype=getattr(torch, each.dtype))
            found[name] = flat.reshape(each.shape)
    return found


def assert_holds(checkpoint: Checkpoint, expected: Mapping[str, Tensor]) -> None:
    """Fail if names, shapes, dtypes, bytes, values or outlines differ from those of `expected`."""
    found = values(checkpoint)
    elements = FileElements(checkpoint)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        own = found[name]
        assert (own.dtype, own.shape) == (tensor.dtype, tensor.shape), name
        assert checkpoint.by_name[name].nbytes == tensor.nbytes, name
        assert torch.equal(own, tensor.detach()), name
        kept = [[*range(n)] if n <= 7 else [0, 1, 2, 3, n - 3, n - 2, n - 1] for n in tensor.shape]
        outline = torch.empty([len(each) for each in kept], dtype=tensor.dtype)
        for at in product(*(range(len(each)) for each in kept)):
            outline[at] = tensor.detach()[tuple(kept[n][i] for n, i in enumerate(at))]
        assert torch.equal(_tensor(elements.outline(name), tensor.dtype), outline), name


def _tensor(array: Array, dtype: torch.dtype) -> Tensor:
    flat = tensor_of(np.ascontiguousarray(array).reshape(-1), dtype)
    return flat.reshape(array.shape)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _WATCHED and event in (
        "import",
        "exec",
        "os.system",
        "subprocess.Popen",
        "pickle.find_class",
        "compile",
    ):
        _WATCHED[-1].append(f"{event} {arguments[:1]}")


sys.addaudithook(_hook)

for _each in iter_modules(reading.__path__, f"{reading.__name__}."):
    import_module(_each.name)  # our own readers, which load when a file needs them, are no finding


@contextmanager
def nothing_run() -> Iterator[None]:
    """Fail if anything is imported, compiled, executed or unpickled meanwhile."""
    seen: list[str] = []
    _WATCHED.append(seen)
    try:
        yield
    finally:
        _WATCHED.pop()
    assert seen == []


def ends_well(path: Path, most: int = 1 << 24) -> bool:
    """Open and read what is there; return whether it could be, and let no error through but ours.

    What has more than `most` bytes is listed and not read.
    """
    try:
        with nothing_run():
            checkpoint = opened(path)
        stored(checkpoint)
        elements = StoredTensors(checkpoint)
        for name, each in checkpoint.by_name.items():
            if each.missing is None and each.nbytes < most:
                sizes = sum(block.numel() for block in elements.blocks(name))
                assert sizes == math.prod(each.shape)
    except ParamtoolError as error:
        assert error.status == 2
        assert "\n" not in str(error)
        return False
    return True
