"""Open a checkpoint that is spread over the files of a folder, with an index or without one.

An index is untrusted: the files that it names are plain files of its own folder, or links there.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES, Checkpoint, Stored
from paramtool.files.reading.safetensors import tied_names

WEIGHT_MAP = "weight_map"
MOST_FILES = 10_000

Open = Callable[[Path], Checkpoint]
"""Opens one file, whatever its form."""


def read_index(
    index: object, content: Mapping[str, Any], open_shard: Callable[[str], Checkpoint], name: str
) -> Checkpoint:
    """Return the tensors of all shards of an index: shard by shard, each in its own order.

    Args:
        index: what messages call it.
        content: what it says.
        open_shard: opens a shard by its name, which is not trusted.
        name: what to call the checkpoint.

    Raises:
        ParamtoolError: if a shard is not a regular file in the folder or is missing, or a tensor is in two
            shards, in none, or in one that the index does not say.
    """
    files = weight_map(index, content)
    found: dict[str, Stored] = {}
    of: dict[str, str] = {}
    tied: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for shard in sorted(set(files.values())):
        checkpoint = open_shard(shard)
        if not checkpoint.tensors:  # told now: thousands of links may lead to one such file
            raise _wrong(index, f"{shard} has no tensor")
        for stored in checkpoint.tensors:
            if stored.name in of:
                raise _wrong(index, f"'{shorten(stored.name)}' is in {of[stored.name]} and in {shard}")
            if stored.name not in files:
                raise _wrong(index, f"{shard} has '{shorten(stored.name)}', which the index does not name")
            of[stored.name] = shard
            found[stored.name] = stored
        tied.update(checkpoint.tied)
        metadata.update(checkpoint.metadata)
    tied = {**tied, **tied_names([each.name for each in found.values()], metadata)}
    _compare(index, files, of, tied)
    order = {each: number for number, each in enumerate(files)}
    tensors = sorted(found.values(), key=lambda each: order[each.name])
    tied = {key: first for key, first in tied.items() if key not in found}
    return Checkpoint(name, tuple(tensors), tied, metadata, format=f"shards, {checkpoint.format}")


def read_parts(parts: Iterable[tuple[str, Checkpoint]], name: str, is_prefixed: bool = False) -> Checkpoint:
    """Return the tensors of several files, one after the other.

    Args:
        parts: the name of each file, and what it holds.
        name: what to call the checkpoint.
        is_prefixed: whether each name gets that of its file before it, since all files have the same.

    Raises:
        ParamtoolError: if a tensor is in two files.
    """
    found: dict[str, Stored] = {}
    of: dict[str, str] = {}
    tied: dict[str, str] = {}
    metadata: dict[str, str] = {}
    kind = ""
    for file, checkpoint in parts:
        prefix = f"{file}." if is_prefixed else ""
        for stored in checkpoint.tensors:
            own = f"{prefix}{stored.name}"
            if own in of:
                raise ParamtoolError(f"{name} has '{shorten(own)}' in {of[own]} and in {file}")
            if len(found) == MOST_NAMES:
                raise ParamtoolError(f"{name} has more than {MOST_NAMES:,} tensors")
            of[own] = file
            found[own] = replace(stored, name=own)
        tied.update({f"{prefix}{other}": f"{prefix}{first}" for other, first in checkpoint.tied.items()})
        metadata.update(checkpoint.metadata)
        kind = checkpoint.format
    tied = {**tied, **tied_names([each.name for each in found.values()], metadata)}
    tied = {other: first for other, first in tied.items() if other not in found}
    return Checkpoint(name, tuple(found.values()), tied, metadata, format=f"shards, {kind}" if kind else "")


def in_folder(folder: Path, open_file: Open) -> Callable[[str], Checkpoint]:
    """Return what opens the files of a folder by their plain names."""
    return lambda name: open_file(plain_file(folder, name))


def is_plain(name: str) -> bool:
    """Return whether a name is that of a file, and not of a path, in a folder here or at a URL."""
    return name not in ("", ".", "..") and not any(each in name for each in "/\\\0")


def plain_file(folder: Path, name: str) -> Path:
    """Return the path of the file `name` of `folder`, which may be a link to a file anywhere.

    So a cache of Hugging Face's has them.  It is looked at before it is opened, which wakes a device.

    Raises:
        ParamtoolError: if that is not a plain name, or leads to anything but a file.
    """
    path = folder / name
    if not is_plain(name) or Path(name).name != name:
        raise ParamtoolError(f"{folder} names the file '{shorten(name)}', which is not in it")
    if path.is_symlink():
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except (OSError, RuntimeError):  # a link to itself is a RuntimeError before Python 3.13
            is_file = False
        if not is_file:
            to = shorten(os.fspath(path.readlink()))
            raise ParamtoolError(f"{path} is a link to {to}, which is not a file")
    return path


def weight_map(index: object, content: Mapping[str, Any]) -> dict[str, str]:
    """Return the names in an index and the file of each.

    Raises:
        ParamtoolError: if that is not a mapping of names to files, or has too many.
    """
    files = content.get(WEIGHT_MAP)
    if not isinstance(files, dict) or not files:
        raise _wrong(index, f"its '{WEIGHT_MAP}' is not a mapping of names to files")
    for name, file in files.items():
        if not isinstance(file, str):
            raise _wrong(index, f"'{shorten(name)}' is in {shorten(json.dumps(file))}, which is not a file")
    if len(set(files.values())) > MOST_FILES or len(files) > MOST_NAMES:
        raise _wrong(index, f"it names more than {MOST_FILES:,} files or {MOST_NAMES:,} tensors")
    return files


def _compare(index: object, files: Mapping[str, str], of: Mapping[str, str], tied: Mapping[str, str]) -> None:
    """See that each tensor that the index names is in the shard that it says."""
    for name, file in files.items():
        actual = of.get(tied.get(name, name))
        if actual != file:
            where = f"in {actual}" if actual else "in none of its files"
            raise _wrong(index, f"'{shorten(name)}' should be in {shorten(file)}, but is {where}")


def _wrong(index: object, what: str) -> ParamtoolError:
    return ParamtoolError(f"{index} does not fit its files: {what}")
