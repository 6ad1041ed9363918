"""Find the checkpoint in a folder: as its readers would, and else by what is there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from paramtool.errors import ParamtoolError, SeveralFiles, shorten
from paramtool.files.reading import distributed_safetensors
from paramtool.files.reading.checkpoint import Checkpoint, SeveralCheckpoints
from paramtool.files.reading.distributed import read_distributed
from paramtool.files.reading.sharded import MOST_FILES, Open, plain_file, read_parts
from paramtool.files.reading.signatures import DISTRIBUTED
from paramtool.files.shards import INDEX, LOOKED_FOR, PARTS, WHOLE
from paramtool.quantities import and_more
from paramtool.records.contents import ContentRow

_INDEXES = (".safetensors.index.json", ".bin.index.json")
_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pt2", ".gguf", ".npz")
_SHARD = re.compile(
    r"(?P<stem>.+?)-(?P<number>[0-9]{5,})-of-(?P<count>[0-9]{5,})(?P<end>\.safetensors|\.bin|\.pt|\.pth)"
)
_CONSOLIDATED = re.compile(r"consolidated\.[0-9]{2,}\.pth")
_BESIDE = re.compile(
    r"(optimizer|scheduler|scaler|sampler)(_[0-9]+)?\.(pt|bin)|rng_state(_[0-9]+)?\.pth"
    r"|random_states_[0-9]+\.pkl|training_args\.bin|trainer_state\.json|.*_optim_states\.pt"
)
"""What transformers.Trainer, accelerate and DeepSpeed save beside a model."""

_MOST_SHOWN = 8


def read_folder(folder: Path, key: str | None, name: str, open_file: Open) -> Checkpoint:
    """Return the checkpoint in `folder`, and what else is beside it as contents.

    Args:
        folder: where it is.
        key: a part of a distributed checkpoint; no other takes one.
        name: what to call it.
        open_file: opens one file, whatever its format.

    Raises:
        ParamtoolError: if there is none, or several of which none comes first.
    """
    names = _names(folder)
    if DISTRIBUTED in names:
        return read_distributed(folder, key, name)
    if key is not None:
        raise ParamtoolError(f"cannot read {name}: {folder} is a folder without a '{shorten(key)}'")
    if "saved_model.pb" in names:
        raise ParamtoolError(f"{folder} is a SavedModel of TensorFlow")
    found = _find(folder, names, open_file, name)
    beside = [_file(folder, each) for each in names if _BESIDE.fullmatch(each)]
    return replace(found, name=name, contents=(*found.contents, *beside))


def _names(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in islice(folder.iterdir(), MOST_FILES))
    except OSError as error:
        raise ParamtoolError(f"cannot read {folder}: {error.strerror}") from error


def _find(folder: Path, names: Sequence[str], open_file: Open, name: str) -> Checkpoint:
    for each in LOOKED_FOR:
        if each in names:
            return open_file(plain_file(folder, each))
    for find in (_index, _pieces, _shards, _consolidated):
        found = find(folder, names, open_file, name)
        if found is not None:
            return found
    candidates = [each for each in names if each.endswith(_SUFFIXES) and not _BESIDE.fullmatch(each)]
    for suffix in _SUFFIXES[:1]:  # pickles of the same weights often lie beside
        preferred = [each for each in candidates if each.endswith(suffix)]
        others = [each for each in candidates if preferred and each not in preferred]
        candidates = preferred or candidates
    if len(candidates) == 1:
        found = open_file(plain_file(folder, candidates[0]))
        return replace(found, notes=(*found.notes, *_also(folder, candidates[0], others)))
    if candidates:
        raise SeveralCheckpoints(folder, [_file(folder, each) for each in candidates])
    raise _nothing(folder, names)


def _also(folder: Path, chosen: str, others: Sequence[str]) -> list[str]:
    """Return the note on checkpoints beside the one that is shown."""
    if not others:
        return []
    more = f" and {len(others) - _MOST_SHOWN:,} more" if len(others) > _MOST_SHOWN else ""
    listed = ", ".join(map(shorten, others[:_MOST_SHOWN]))
    return [f"this is {shorten(chosen)}; {folder} also has {listed}{more}"]


def _index(folder: Path, names: Sequence[str], open_file: Open, _: str) -> Checkpoint | None:
    for suffix in _INDEXES:
        found = [each for each in names if each.endswith(suffix)]
        if len(found) > 1:
            raise SeveralCheckpoints(folder, [_file(folder, each) for each in found])
        if found:
            return open_file(plain_file(folder, found[0]))
    return None


def _pieces(folder: Path, names: Sequence[str], open_file: Open, name: str) -> Checkpoint | None:
    """Join the files that a distributed checkpoint in safetensors consists of."""
    found = [each for each in names if distributed_safetensors.PIECE.fullmatch(each)]
    if not found:
        return None
    return distributed_safetensors.join((open_file(plain_file(folder, each)) for each in found), name)


def _shards(folder: Path, names: Sequence[str], open_file: Open, name: str) -> Checkpoint | None:
    """Put shards together that have no index; a note says which are not there."""
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in names:
        match = _SHARD.fullmatch(each)
        if match:
            groups[match["end"], match["stem"], match["count"]].append(each)
    safe = {key: files for key, files in groups.items() if key[0] == ".safetensors"}
    if len(safe or groups) != 1:
        return None
    ((_, _, count), files) = next(iter((safe or groups).items()))
    parts = ((each, open_file(plain_file(folder, each))) for each in files)
    found = read_parts(parts, name)
    missing = int(count[:9]) - len(files)
    if missing > 0:
        lacks = f"{missing:,} of its {int(count[:9]):,} shards are missing: only {', '.join(files[:3])}"
        found = replace(found, notes=(*found.notes, f"{name}: {lacks}{' …' if len(files) > 3 else ''}"))
    return found


def _consolidated(folder: Path, names: Sequence[str], open_file: Open, name: str) -> Checkpoint | None:
    """List what Llama's files hold: each has a slice of every tensor, along a dimension that none says."""
    files = [each for each in names if _CONSOLIDATED.fullmatch(each)]
    if len(files) < 2:
        return open_file(plain_file(folder, files[0])) if files else None
    parts = ((each.removesuffix(".pth"), open_file(plain_file(folder, each))) for each in files)
    note = (
        f"{name} is split for {len(files)} GPUs: each file has its slice of the tensors, "
        "and each shape is that of the slice"
    )
    found = read_parts(parts, name, is_prefixed=True)
    return replace(found, notes=(*found.notes, note))


def _file(folder: Path, name: str) -> ContentRow:
    try:
        size = (folder / name).stat().st_size
    except OSError:
        size = 0
    return ContentRow(name, "file", nbytes=size)


def _nothing(folder: Path, names: Sequence[str]) -> ParamtoolError:
    if not names:
        return ParamtoolError(f"{folder} is an empty folder")
    if (folder / PARTS).is_dir():
        return ParamtoolError(
            f"cannot read {folder}: parts of it are still missing",
            hint="each process of init --part reports which",
        )
    pieces = [each for each in names if each.endswith(".distcp")]
    if pieces:
        return ParamtoolError(
            f"{folder} has {shorten(pieces[0])} but no {DISTRIBUTED}, which says what is in it",
            hint=f"copy {DISTRIBUTED} there too; its name begins with a dot, so 'cp *' leaves it out",
        )
    snapshots = _snapshots(folder, names)
    if snapshots:
        hint = f"name a snapshot, e.g. {snapshots[0]}"
        return ParamtoolError(f"{folder} is a part of Hugging Face's cache", hint=hint)
    beside = [each for each in names if _BESIDE.fullmatch(each)]
    if "config.json" in names or "params.json" in names:
        config = "config.json" if "config.json" in names else "params.json"
        return ParamtoolError(
            f"{folder} has a {config}, which describes a model, but no tensors",
            hint="for its structure, name a Python function that builds it, e.g. package.module:function",
        )
    inside = _folders(folder, names)
    if beside:
        return ParamtoolError(
            f"{folder} holds no model, only {', '.join(beside[:5])}",
            hint=f"name one to see it, e.g. {folder / beside[0]}",
        )
    specs = [each for each in names if each.endswith((".yaml", ".yml"))]
    if specs:
        shown = ", ".join(map(shorten, specs[:_MOST_SHOWN])) + and_more(len(specs) - _MOST_SHOWN)
        paths = [str(folder / each) for each in specs]
        error = SeveralFiles(f"{folder} is a folder without a checkpoint, but with {shown}", paths)
        return error if len(specs) > 1 else error.mended(str(folder), paths)
    return ParamtoolError(
        f"cannot read {folder}: it is a folder, without a {WHOLE} or {INDEX}",
        hint=f"is it one of {', '.join(inside)}?" if inside else None,
    )


def _snapshots(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return snapshots in Hugging Face's cache, from any level above ``snapshots/<commit>``."""
    if "snapshots" in names and "blobs" in names:
        pattern = "snapshots/*"
    elif any(each.startswith("models--") for each in names):
        pattern = "models--*/snapshots/*"
    elif "hub" in names:
        pattern = "hub/models--*/snapshots/*"
    else:
        return []
    return sorted(islice((each for each in folder.glob(pattern) if each.is_dir()), 100))


def _folders(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the first folders inside that may hold a checkpoint."""
    marks = (DISTRIBUTED, *LOOKED_FOR)
    found = (
        each for each in islice(names, 1000)
        if any((folder / each / mark).is_file() for mark in marks) or _has_pieces(folder / each)
    )  # fmt: skip
    return [str(folder / each) for each in islice(found, 5)]


def _has_pieces(folder: Path) -> bool:
    """Say whether `HuggingFaceStorageWriter` left its pieces there, which it does below what it joins."""
    found = folder.glob("shard-*.safetensors") if folder.name == distributed_safetensors.FOLDER else ()
    return any(distributed_safetensors.PIECE.fullmatch(each.name) for each in islice(found, 1000))
