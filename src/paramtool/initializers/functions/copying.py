"""The initializer that copies from a checkpoint: any that MODEL may be, by the same readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from paramtool.files.reading.checkpoint import Stored
from paramtool.files.reading.formats import open_checkpoint, path_and_key
from paramtool.plugins.initializer import initializer
from paramtool.tensors.elements import StoredTensors, torch_dtype
from paramtool.tensors.memory import fill


@initializer(exact=True)
def copy(tensor: Tensor, file: str, name: str = "{name}", *, parameter: str) -> None:
    """Fill with a tensor of the checkpoint `file`, of the same name or a mapped one.

    The checkpoint is a safetensors file, what ``torch.save`` wrote, a folder of shards or their index.
    In `name`, ``{name}`` stands for the name of the parameter: ``transformer.{name}``.  Values are
    cast to the dtype of the parameter.
    """
    fill(tensor, _opened(file).elements.blocks(_mapped(name, parameter)))


def _check(
    shape: Sequence[int], file: str, name: str = "{name}", *, parameter: str, dtype: torch.dtype
) -> None:
    """Refuse a missing file or name, and what does not fit, before anything is touched."""
    wanted = _mapped(name, parameter)
    found = _opened(file).tensors.get(wanted)
    if found is None:
        raise ValueError(f"{file} has no tensor '{wanted}'")
    if found.shape != tuple(shape):
        raise ValueError(f"it is {list(shape)}, but '{wanted}' in {file} is {list(found.shape)}")
    if torch_dtype(found).is_complex and not dtype.is_complex:
        raise ValueError(f"'{wanted}' in {file} is {found.dtype}, which it cannot hold without loss")


copy.check = _check  # type: ignore[attr-defined]


@dataclass(frozen=True)
class _Source:
    """An open checkpoint: what it has by every name, and what reads the elements."""

    tensors: dict[str, Stored]
    elements: StoredTensors


def _opened(file: str) -> _Source:
    return _open(file, _state(path_and_key(file)[0]))


@lru_cache(maxsize=2)
def _open(file: str, state: object) -> _Source:  # noqa: ARG001 - a key of the cache
    """Open a checkpoint once for each `state`: a rule may copy a thousand tensors from it."""
    checkpoint = open_checkpoint(file)
    return _Source(checkpoint.by_name, StoredTensors(checkpoint))


def _state(path: Path) -> tuple[object, ...]:
    """Return what changes when a file is rewritten, or one beside the index that it is."""
    try:
        folder = path if path.is_dir() else path.parent if path.suffix == ".json" else None
        paths = [path] if folder is None else sorted(folder.iterdir())
        found = [each.stat() for each in paths]
    except (OSError, ValueError):  # told where it is read
        return ()
    return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def _mapped(name: str, parameter: str) -> str:
    return name.replace("{name}", parameter)
