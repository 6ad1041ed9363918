"""Open the checkpoint at a URL: a file of any format, or the index of its shards."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading import formats
from paramtool.files.remote.address import Repository, read_address
from paramtool.files.remote.remote_file import RemoteFile
from paramtool.files.remote.repository import find_checkpoint
from paramtool.text_encoding import begins_like_json

if TYPE_CHECKING:
    from paramtool.files.reading.checkpoint import Checkpoint

_AT_ONCE = 8
"""Concurrent requests for the heads of shards."""


def open_remote(typed: str) -> Checkpoint:
    """Return the checkpoint at a URL that a person typed.

    Raises:
        ParamtoolError: for what is not a URL or not a checkpoint, or if the server does not give it.
    """
    address, key = read_address(typed)
    file = find_checkpoint(address) if isinstance(address, Repository) else RemoteFile(address)
    name = f"{address.shown}:{key}" if key else address.shown
    is_index = file.suffix == ".json" or begins_like_json(_head(file))
    found = _of_index(file, name) if is_index else _read(file, key, name)
    return replace(found, name=name)


def _head(file: RemoteFile) -> bytes:
    return file.read(0, min(formats.HEAD, file.size))


def _read(file: RemoteFile, key: str | None, name: str) -> Checkpoint:
    """Read one file, which is not an index."""
    found = formats.recognize_head(file, _head(file))
    if found is None:
        raise ParamtoolError(f"{file} is not a checkpoint", hint="only checkpoints are read from a URL")
    if key is not None and not found.has_keys:
        raise ParamtoolError(f"cannot read {name}: it is {found.name}, without a '{shorten(key)}'")
    return formats.with_reasons(found.read(file, key, name))


def _of_index(file: RemoteFile, name: str) -> Checkpoint:
    document = formats.read_json(file)
    if document is None or not document.is_index:
        raise ParamtoolError(f"{file} is not a checkpoint", hint="only checkpoints are read from a URL")
    from paramtool.files.reading.sharded import read_index, weight_map

    document.check()
    shards = _opened_at_once(file, sorted(set(weight_map(file, document.content).values())))

    def open_shard(shard: str) -> Checkpoint:
        return _read(shards[shard], None, str(shards[shard]))

    return read_index(file, document.content, open_shard, name)


def _opened_at_once(index: RemoteFile, names: Iterable[str]) -> dict[str, RemoteFile]:
    """Return the shards by name, opened concurrently: each request mostly waits."""
    wanted = list(names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            return dict(zip(wanted, pool.map(index.beside, wanted), strict=True))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
