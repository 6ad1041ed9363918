"""Opening a checkpoint that is spread over the files of a folder, and the index that says what is where.

An index comes from strangers: the files that it names are plain files in its own folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import MOST_NAMES, Checkpoint, Stored
from paramtool.files.reading.safetensors import tied_names
from paramtool.files.shards import INDEX, WHOLE

WEIGHT_MAP = "weight_map"
MOST_FILES = 10_000

_LOOKED_FOR = (WHOLE, INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json")
_SUFFIXES = (".safetensors.index.json", ".safetensors", ".bin.index.json")

Open = Callable[[Path], Checkpoint]
"""Opens one file, whatever its form."""


def find_in_folder(folder: Path) -> Path:
    """Return the file in `folder` that its readers would follow: the weights, or their index.

    Raises:
        ParamtoolError: where there is none, or several.
    """
    try:
        names = sorted(each.name for each in islice(folder.iterdir(), MOST_FILES))
    except OSError as error:
        raise ParamtoolError(f"cannot read {folder}: {error.strerror}") from error
    if ".metadata" in names:
        hint = "torch.distributed.checkpoint.format_utils.dcp_to_torch_save makes one file of it"
        raise ParamtoolError(
            f"{folder} is a distributed checkpoint, whose .metadata is a bare pickle", hint=hint
        )
    if "saved_model.pb" in names:
        raise ParamtoolError(f"{folder} is a SavedModel of TensorFlow")
    for name in _LOOKED_FOR:
        if name in names:
            return plain_file(folder, name)
    for suffix in _SUFFIXES:
        found = [name for name in names if name.endswith(suffix)]
        if len(found) == 1:
            return plain_file(folder, found[0])
        if found:
            raise ParamtoolError(
                f"{folder} has several checkpoints", hint=f"name one, as {folder / found[0]}"
            )
    raise ParamtoolError(f"cannot read {folder}: it is a folder, without a {WHOLE} or {INDEX}")


def read_index(path: Path, content: Mapping[str, Any], open_file: Open, name: str) -> Checkpoint:
    """Return the tensors of all shards of an index: shard by shard, each in its own order.

    Args:
        path: the index.
        content: what it says.
        open_file: opens a shard.
        name: what to call the checkpoint.

    Raises:
        ParamtoolError: where a shard is no plain file of the folder or is missing, or a tensor is in two
            shards, in none, or in one that the index does not say.
    """
    files = _weight_map(path, content)
    found: dict[str, Stored] = {}
    of: dict[str, str] = {}
    tied: dict[str, str] = {}
    metadata: dict[str, str] = {}
    for shard in sorted(set(files.values())):
        checkpoint = open_file(plain_file(path.parent, shard))
        if not checkpoint.tensors:  # told now: thousands of links may lead to one such file
            raise _wrong(path, f"{shard} has no tensor")
        for stored in checkpoint.tensors:
            if stored.name in of:
                raise _wrong(path, f"'{shorten(stored.name)}' is in {of[stored.name]} and in {shard}")
            if stored.name not in files:
                raise _wrong(path, f"{shard} has '{shorten(stored.name)}', which the index does not name")
            of[stored.name] = shard
            found[stored.name] = stored
        tied.update(checkpoint.tied)
        metadata.update(checkpoint.metadata)
    tied = {**tied, **tied_names(list(found.values()), metadata)}
    _compare(path, files, of, tied)
    order = {each: number for number, each in enumerate(files)}
    tensors = sorted(found.values(), key=lambda each: order[each.name])
    return Checkpoint(
        name, tuple(tensors), {key: first for key, first in tied.items() if key not in found}, metadata
    )


def plain_file(folder: Path, name: str) -> Path:
    """Return the path of the file `name` of `folder`.

    Raises:
        ParamtoolError: where that is no plain name, or a link to somewhere else.
    """
    path = folder / name
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name or Path(name).name != name:
        raise ParamtoolError(f"{folder} names the file '{shorten(name)}', which is not in it")
    if path.is_symlink():
        try:
            is_inside = path.resolve(strict=True).parent == folder.resolve()
        except (OSError, RuntimeError):  # a link to itself is a RuntimeError before Python 3.13
            is_inside = False
        if not is_inside:
            to = shorten(os.fspath(path.readlink()))
            hint = "name the file itself, or copy the folder with cp -rL"
            raise ParamtoolError(f"{path} is a link out of its folder, to {to}", hint=hint)
    return path


def _weight_map(path: Path, content: Mapping[str, Any]) -> dict[str, str]:
    files = content.get(WEIGHT_MAP)
    if not isinstance(files, dict) or not files:
        raise _wrong(path, f"its '{WEIGHT_MAP}' is no mapping of names to files")
    for name, file in files.items():
        if not isinstance(file, str):
            raise _wrong(path, f"'{shorten(name)}' is in {shorten(json.dumps(file))}, which is no file")
    if len(set(files.values())) > MOST_FILES or len(files) > MOST_NAMES:
        raise _wrong(path, f"it names more than {MOST_FILES:,} files or {MOST_NAMES:,} tensors")
    return files


def _compare(path: Path, files: Mapping[str, str], of: Mapping[str, str], tied: Mapping[str, str]) -> None:
    """See that each tensor that the index names is in the shard that it says."""
    for name, file in files.items():
        actual = of.get(tied.get(name, name))
        if actual != file:
            where = f"in {actual}" if actual else "in none of its files"
            raise _wrong(path, f"'{shorten(name)}' should be in {shorten(file)}, and is {where}")


def _wrong(path: Path, what: str) -> ParamtoolError:
    return ParamtoolError(f"{path} does not fit its files: {what}")
