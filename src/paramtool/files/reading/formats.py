"""The formats of checkpoints: how each is recognized, and what reads it.  One door for all of them.

A file is recognized by its first bytes, a zip archive by its members, a folder by the names in it:

    bytes ┬ safetensors ─ safetensors_header   zip ┬ pickled_file       (torch.save, TorchScript)
          ├ gguf                                   ├ exported_program   (.pt2)
          ├ numpy_array (.npy)                     ├ numpy_array        (.npz)
          ├ pickled_file (bare pickles)            └ policy_archive     (Stable-Baselines3)
          └ sharded (an index)
    folder ┬ distributed (.metadata)   ┬ sharded (index, shards, consolidated.*.pth)
           └ distributed_safetensors   └ one file of any format
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading import signatures
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.open_file import Location, opened
from paramtool.files.reading.signatures import DISTRIBUTED, SHARDING, check_readable
from paramtool.files.safetensors_format import LONGEST_HEADER
from paramtool.name_parts import folded
from paramtool.place import Text

if TYPE_CHECKING:
    from paramtool.files.reading.json_document import Document

HEAD = 1024
"""Bytes that say what a file is."""

LARGEST_INDEX = 1 << 26
_WITHOUT = "without values: "
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Format:
    """One kind of file that holds a checkpoint.

    Attributes:
        name: what messages call it, ``a safetensors file``.
        read: opens the file: its path, a key or None, and the name of the checkpoint.
        has_keys: whether a key may name one of several state_dicts in it.
    """

    name: str
    read: Callable[[Location, str | None, str], Checkpoint]
    has_keys: bool = False


def _of(place: str, has_keys: bool = False) -> Callable[[Location, str | None, str], Checkpoint]:
    """Return what reads by the function at ``file:function`` of this folder, loaded when it is called.

    A file takes one reader of ten, and all of them together take longer than it takes to read it.
    """

    def read(path: Location, key: str | None, name: str) -> Checkpoint:
        file, _, function = place.partition(":")
        found: Any = getattr(import_module(f"{__package__}.{file}"), function)
        checkpoint: Checkpoint = found(path, key, name) if has_keys else found(path, name)
        return checkpoint

    return read


def _with_keys(name: str, place: str) -> Format:
    return Format(name, _of(place, True), True)


def _read_safetensors(path: Location, _: str | None, name: str) -> Checkpoint:
    found = _of("safetensors:read_safetensors")(path, None, name)
    if SHARDING not in found.metadata:
        return found
    from paramtool.files.reading.distributed_safetensors import noted

    return noted(found)


def _read_folder(path: Any, key: str | None, name: str) -> Checkpoint:
    from paramtool.files.reading.folder import read_folder

    return read_folder(path, key, name, _open_in_folder)


SAFETENSORS = Format("a safetensors file", _read_safetensors)
PICKLED = _with_keys("a file of torch.save or pickle", "pickled_file:read_pickled")
EXPORTED = _with_keys("a .pt2 archive of torch.export", "exported_program:read_exported")
POLICY = _with_keys("an archive of Stable-Baselines3", "policy_archive:read_policy")
ARRAY = Format("a NumPy array", _of("numpy_array:read_array"))
ARRAYS = Format("an archive of NumPy arrays", _of("numpy_array:read_arrays"))
GGUF = Format("a GGUF file", _of("gguf:read_gguf"))
FOLDER = Format("a folder", _read_folder, True)
INDEX = Format("the index of a checkpoint", lambda path, _, name: _read_index(path, name))

_BY_SIGNATURE = (
    (re.compile(re.escape(signatures.NUMPY)), ARRAY),
    (re.compile(b"|".join(map(re.escape, signatures.GGUF))), GGUF),
    (re.compile(b"\x80[\x02-\x05]"), PICKLED),
    (re.compile(rb"L119547037146038801333356L?\n\."), PICKLED),  # torch before 1.6, protocols 0 and 1
)
_BY_SUFFIX = {".safetensors": SAFETENSORS, ".pkl": PICKLED, ".pickle": PICKLED}
"""What is taken for its name's format though it does not begin like it, so that its error is told."""


def open_checkpoint(name: str) -> Checkpoint:
    """Return the checkpoint that `name` is: a file, a folder, the index of its shards, or ``file:key``.

    Raises:
        ParamtoolError: if it is not a checkpoint that is read, with what to do instead.
    """
    if not name:  # it would be the folder one is in
        raise ParamtoolError("the name of the checkpoint is empty")
    path, key = path_and_key(name)
    try:
        path.stat()
    except OSError as error:
        raise ParamtoolError(f"cannot read {name}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise ParamtoolError(f"cannot read {name}: {error}") from error
    return read_checkpoint(path, key, name)


def path_and_key(name: str) -> tuple[Path, str | None]:
    """Split ``checkpoint.pt:ema``, if no file has the whole name but one has its beginning."""
    before, colon, key = name.rpartition(":")
    try:
        is_there = Path(before).is_file() or (Path(before) / DISTRIBUTED).is_file()
        if colon and before and key and not os.path.lexists(name) and is_there:
            return Path(before), key
    except (OSError, ValueError):
        pass
    return Path(name), None


def read_checkpoint(path: Path, key: str | None, name: str) -> Checkpoint:
    """Return the checkpoint that a file or folder holds.

    Args:
        path: the file or folder.
        key: which of several state_dicts in it; by default the one where training scripts put it.
        name: what to call the checkpoint in messages and reports.

    Raises:
        ParamtoolError: if it is not a checkpoint that is read, with what to do instead.
    """
    found = recognize(path)
    if found is None:
        found = INDEX if _begins_like_json(path) else None
    if found is None:
        hint = "e.g. weights.safetensors, a .pt file, or a folder of shards"
        raise ParamtoolError(f"{name} is not a checkpoint", hint=hint)
    if key is not None and not found.has_keys:
        raise ParamtoolError(f"cannot read {name}: {path} is {found.name}, without a '{shorten(key)}'")
    return with_reasons(found.read(path, key, name))


def recognize(path: Path) -> Format | None:
    """Return what the file or folder at `path` is; None for what may be a text, or is not there.

    Raises:
        ParamtoolError: for a format that is known and not read, with what to do instead.
    """
    if path.is_dir():
        return FOLDER
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:  # reported where it is read
        return None
    return recognize_head(path, head)


def recognize_head(path: Location, head: bytes) -> Format | None:
    """Return what a file is that begins with `head`; raises as `recognize` does."""
    # first, because a header of 128 bytes begins like a pickle, with 80 00
    if int.from_bytes(head[:8], "little") <= LONGEST_HEADER and head[8:].lstrip(b" \t\r\n")[:1] == b"{":
        return SAFETENSORS
    for signature, found in _BY_SIGNATURE:
        if signature.match(head):
            return found
    if head[:4] in _ZIP:
        return _of_archive(path, head)
    check_readable(path, head)
    return _BY_SUFFIX.get(path.suffix)


def open_file(path: Path) -> Checkpoint:
    """Open one file of a folder, which is not another folder or index.

    Raises:
        ParamtoolError: if it is not a file that holds a checkpoint.
    """
    if not path.is_file():
        raise ParamtoolError(f"cannot read {path}: there is no such file, but the index names it")
    found = recognize(path)
    if found is None:
        raise ParamtoolError(f"{path} is not a checkpoint")
    return found.read(path, None, str(path))


def with_reasons(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with a note on each reason for which tensors have no values."""
    if any(each.startswith(_WITHOUT) for each in checkpoint.notes):
        return checkpoint
    if not any(each.missing for _, each, _ in checkpoint.described()):
        return checkpoint
    from paramtool.files.reading.state_dict import listed

    reasons: dict[str, list[str]] = {}
    for each in checkpoint.tensors:
        if each.missing is not None:
            reasons.setdefault(each.missing, []).append(each.name)
    notes = (f"{_WITHOUT}{listed(folded(names))} ({why})" for why, names in reasons.items())
    return replace(checkpoint, notes=(*checkpoint.notes, *notes))


def _open_in_folder(path: Path) -> Checkpoint:
    return _read_index(path, str(path)) if path.suffix == ".json" else open_file(path)


def _of_archive(path: Location, head: bytes) -> Format:
    """Return what a zip archive is; the first member of what torch.save writes says so already."""
    from paramtool.files.reading.zip_directory import first_member, read_members

    if first_member(head).endswith("/data.pkl"):
        return PICKLED
    with opened(path) as file:
        names = read_members(file).keys()
    if any(each.endswith("/data.pkl") for each in names) or not names:
        return PICKLED
    if any(each.rpartition("/")[2] == signatures.EXPORTED for each in names):
        return EXPORTED
    if signatures.POLICY in names:
        return POLICY
    if any(each.endswith(signatures.ARRAY) for each in names):
        return ARRAYS
    if any(each.endswith("model.weights.h5") for each in names):
        raise ParamtoolError(f"{path} is in the Keras format")
    return PICKLED  # whose reader says what it lacks


def _begins_like_json(path: Path) -> bool:
    from paramtool.text_encoding import begins_like_json

    try:
        with path.open("rb") as file:
            return begins_like_json(file.read(HEAD))
    except OSError:
        return False


def _read_index(path: Any, name: str) -> Checkpoint:
    document = read_json(path)
    if document is None or not document.is_index:
        hint = "e.g. weights.safetensors, a .pt file, or a folder of shards"
        raise ParamtoolError(f"{name} is a spec, a snapshot or an index, not a checkpoint", hint=hint)
    from paramtool.files.reading.sharded import in_folder, read_index

    document.check()
    return read_index(path, document.content, in_folder(path.parent, open_file), name)


def read_json(path: Location) -> Document | None:
    """Return the JSON object in the file at `path`; None for another text.

    Raises:
        ParamtoolError: if the file cannot be read, or is larger than 64 MB or not in UTF-8.
    """
    from paramtool.files.reading.json_document import read_document
    from paramtool.text_encoding import decode

    with opened(path) as file:
        size = file.size
        if size > LARGEST_INDEX:
            raise ParamtoolError(f"{path} is larger than {LARGEST_INDEX:,} bytes, the limit for JSON")
        content = file.read(0, size)
    return read_document(Text(str(path), decode(content, str(path))))
