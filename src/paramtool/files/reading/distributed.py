"""Open a distributed checkpoint (DCP): a folder with ``.metadata`` and the files of each rank.

torch unpickles ``.metadata``, which runs what it names; here it is read as data.  Every chunk of a tensor
is an archive of torch.save inside a larger file, and is looked at only where values are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paramtool.errors import ParamtoolError, shorten
from paramtool.files.reading.checkpoint import Checkpoint, Piece, Stored
from paramtool.files.reading.contents import described
from paramtool.files.reading.distributed_metadata import Chunk, Entry, read_metadata
from paramtool.files.reading.open_file import opened
from paramtool.files.reading.pickled_globals import DTYPES, VALUELESS
from paramtool.files.reading.sharded import plain_file
from paramtool.files.reading.signatures import DISTRIBUTED
from paramtool.files.reading.tiles import fitted
from paramtool.files.reading.torch_archive import read_archive
from paramtool.records.contents import ContentRow

MODELS = (
    "model", "module", "state_dict", "model_state_dict", "net", "network", "weights", "params", "app",
)  # fmt: skip
"""Where training scripts put the model; ``app`` is what torch's tutorials call the rest around it."""

_OTHERS = ("optim", "state", "param_groups", "lr_scheduler", "scheduler", "dataloader", "train_state", "rng")
"""How the names begin under which training scripts put what is not the model."""

_MOST_VALUES = 100
_LARGEST_VALUE = 1 << 16


def read_distributed(folder: Path, key: str | None, name: str) -> Checkpoint:
    """Return the tensors of the model in `folder`; the rest is contents.

    Args:
        folder: where ``.metadata`` is.
        key: another part, as ``optim``; by default the model.
        name: what to call the checkpoint.

    Raises:
        ParamtoolError: if ``.metadata`` is broken or does not fit the files, or there is no such part.
    """
    entries = read_metadata(plain_file(folder, DISTRIBUTED))
    prefix, chosen = _choose(entries, key, name)
    files = _Files(folder)
    try:
        tensors = tuple(_stored(each, own, files) for own, each in chosen.items())
        files.check(entries)
    except ValueError as error:
        raise ParamtoolError(f"{folder / DISTRIBUTED} does not fit its files: {error}") from error
    names = {each.name for each in chosen.values()}
    rest = [each for each in entries if each.name not in names]
    contents = tuple(_parts(rest, len(prefix) or 1, files))
    return Checkpoint(name, tensors, format="distributed checkpoint", contents=contents)


def _choose(entries: Sequence[Entry], key: str | None, name: str) -> tuple[tuple[str, ...], dict[str, Entry]]:
    """Return the path of the part that is listed, and its tensors by their names in it."""
    tensors = [each for each in entries if each.is_tensor]
    if key is not None:
        parts = (each.path[:end] for each in tensors for end in range(1, len(each.path) + 1))
        prefix = next((each for each in parts if ".".join(each) == key), None)
        if prefix is None:
            what = f"{name} has no tensors under '{shorten(key)}'"
            raise ParamtoolError(what, hint=f"it has {_listed(entries)}")
        return prefix, _below(prefix, tensors)
    starts = {each.path[:end] for each in tensors for end in (1, 2) if len(each.path) > end}
    for model in MODELS:
        for prefix in (*((model, each) for each in MODELS), (model,)):
            if prefix in starts:
                return prefix, _below(prefix, tensors)
    rest = {each.name: each for each in tensors if not each.path[0].startswith(_OTHERS)}
    if tensors and not rest:
        hint = f"name a part after a colon, e.g. :{tensors[0].path[0]}"
        raise ParamtoolError(f"{name} holds no model, only {_listed(entries)}", hint=hint)
    return (), rest


def _below(prefix: tuple[str, ...], entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return what is under a path by the rest of it; by its flat name where two would have one."""
    found: dict[str, Entry] = {}
    for each in entries:
        if each.path[: len(prefix)] == prefix:
            name = ".".join(each.path[len(prefix) :]) or each.path[-1]
            found[each.name if name in found else name] = each
    return found


def _listed(entries: Iterable[Entry]) -> str:
    parts = list(dict.fromkeys(each.path[0] for each in entries))
    more = f" and {len(parts) - 5:,} more" if len(parts) > 5 else ""
    return ", ".join(shorten(each) for each in parts[:5]) + more


def _parts(entries: Sequence[Entry], depth: int, files: _Files) -> Iterator[ContentRow]:
    """Yield one part for what has the same first `depth` keys."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for each in entries:
        groups.setdefault(each.path[:depth], []).append(each)
    for number, (path, found) in enumerate(groups.items()):
        nbytes = sum(each.nbytes for each in found)
        kind, value = "dict", None
        if len(found) == 1 and found[0].path == path:
            kind = "torch.Tensor"
            if not found[0].is_tensor:
                kind, value = _object(found[0], files) if number < _MOST_VALUES else ("object", None)
        yield ContentRow(".".join(path), kind, sum(each.is_tensor for each in found), nbytes, value)


def _object(entry: Entry, files: _Files) -> tuple[str, str | None]:
    """Return the class of a small object and its value as text, read from its archive."""
    if len(entry.chunks) != 1 or entry.chunks[0].length > _LARGEST_VALUE:
        return "object", None
    try:
        path, missing = files.place(entry.chunks[0])
        if missing is not None:
            return "object", None
        with opened(path) as file:
            found = read_archive(file, entry.chunks[0].position, entry.chunks[0].length)
    except (ParamtoolError, ValueError):  # nobody asked for this value
        return "object", None
    return described(found.root)


@dataclass
class _Files:
    """The files of the ranks, each looked at once."""

    folder: Path

    def __post_init__(self) -> None:
        self._known: dict[str, tuple[Path, int | None]] = {}

    def check(self, entries: Iterable[Entry]) -> None:
        """Look at the length of every file, also of those that nothing is read from.

        Raises:
            ValueError: if one is cut off.
        """
        for entry in entries:
            for chunk in entry.chunks:
                self.place(chunk)

    def place(self, chunk: Chunk) -> tuple[Path, str | None]:
        """Return the file that has a chunk, and why it cannot be read.

        Raises:
            ValueError: if the file is cut off.
        """
        if chunk.file not in self._known:
            path = plain_file(self.folder, chunk.file)
            try:
                self._known[chunk.file] = path, path.stat().st_size
            except OSError:
                self._known[chunk.file] = path, None
        path, size = self._known[chunk.file]
        if size is None:
            return path, f"in {shorten(chunk.file)}, which does not exist"
        if chunk.position + chunk.length > size:
            raise ValueError(f"{shorten(chunk.file)} is too short; it was cut off")
        return path, chunk.missing


def _stored(entry: Entry, name: str, files: _Files) -> Stored:
    size = DTYPES.get(entry.dtype, 0)
    missing = VALUELESS.get(entry.dtype) if size else f"of the dtype {entry.dtype}, which is not read"
    pieces = []
    try:
        for chunk in entry.chunks:
            path, lost = files.place(chunk)
            missing = missing or lost
            if chunk.length < math.prod(chunk.shape) * size:
                raise ValueError("it has fewer bytes than its elements need")
            pieces.append(Piece(chunk.offsets, chunk.shape, path, chunk.position, archive=chunk.length))
        found = fitted(entry.shape, pieces)
    except ValueError as error:
        raise ValueError(f"the tensor '{shorten(name)}': {error}") from error
    first = found[0] if found else Piece((), (), files.folder / DISTRIBUTED, 0)
    nbytes = math.prod(entry.shape) * size
    return Stored(
        name, entry.dtype, entry.shape, nbytes, files.folder if missing else first.path, first.position,
        pieces=() if missing else found, missing=missing,
    )  # fmt: skip
