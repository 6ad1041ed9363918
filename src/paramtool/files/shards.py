"""Several files for one set of tensors: what goes into which, what they are called, and their index.

Names and index are those of Hugging Face's tools, whose readers look for ``model.safetensors`` first,
and then for ``model.safetensors.index.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from paramtool.errors import ParamtoolError
from paramtool.files.safetensors_format import Entry

WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
LOOKED_FOR = (
    WHOLE, INDEX, "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.safetensors",
    "adapter_model.bin",
)  # fmt: skip
"""The files by which readers find a checkpoint in a folder or repository, the first one first."""

PARTS = ".paramtool-parts"
"""The hidden folder in which the files of several processes wait for each other."""

SHARD = re.compile(r"model-[0-9]{5,}-of-[0-9]{5,}\.safetensors")


def is_ours(name: str) -> bool:
    """Say whether a file called `name` belongs to a set of weights."""
    return name in (WHOLE, INDEX) or SHARD.fullmatch(name) is not None


def pack(entries: Iterable[Entry], max_shard_size: int) -> dict[str, list[Entry]]:
    """Return the entries of each file by its name: filled one after the other, in the order given.

    A tensor larger than `max_shard_size` is alone in its file; the limit is on the tensors' bytes.
    """
    if max_shard_size < 1:
        raise ParamtoolError(f"a shard cannot be limited to {max_shard_size} bytes at most")
    shards: list[list[Entry]] = [[]]
    size = 0
    for entry in entries:
        if shards[-1] and size + entry.nbytes > max_shard_size:
            shards.append([])
            size = 0
        shards[-1].append(entry)
        size += entry.nbytes
    if len(shards) == 1:
        return {WHOLE: shards[0]}
    return {
        f"model-{number:05d}-of-{len(shards):05d}.safetensors": shard
        for number, shard in enumerate(shards, start=1)
    }


def index(shards: Mapping[str, Sequence[Entry]]) -> bytes:
    """Return the content of the index of `shards`."""
    weight_map = {entry.name: name for name, shard in shards.items() for entry in shard}
    total = sum(entry.nbytes for shard in shards.values() for entry in shard)
    return index_text({"metadata": {"total_size": total}, "weight_map": weight_map})


def index_text(content: Mapping[str, object]) -> bytes:
    """Return an index as it is written."""
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
