"""What the name of a file to write says of its format, and what was meant where it is mistyped."""

from __future__ import annotations

import re
from pathlib import Path

from paramtool.suggestion import LONGEST_WORD

SAFETENSORS = ".safetensors"
ARCHIVES = (".pt", ".pth", ".ckpt", ".bin")
"""What files of torch.save end in."""

UNWRITTEN = (
    ".gguf", ".npz", ".npy", ".onnx", ".h5", ".hdf5", ".keras", ".pkl", ".pickle", ".pt2", ".ptl", ".tar",
    ".zip", ".json", ".yaml", ".yml", ".msgpack", ".tflite", ".pb", ".index", ".gz", ".tgz", ".xz", ".bz2",
    ".zst", ".7z", ".txt", ".csv", ".tsv", ".jsonl", ".md", ".html", ".py", ".toml", ".log", ".distcp",
)  # fmt: skip
"""Endings of other files that people have, and that would be surprising names of folders."""

_ALIKE = {".st": SAFETENSORS, ".sft": SAFETENSORS, ".safe": SAFETENSORS, ".checkpoint": ".ckpt"}
_NEAR = 0.75
_LETTERS = re.compile(r"\.[a-z_]+[0-9]?")


def ending_of(path: Path) -> str:
    """Return what the name ends in, in lower case, with the dot; nothing if it has no dot."""
    return path.suffix.lower()


def meant_by(path: Path) -> Path | None:
    """Return the path with the ending that was nearly typed: ``x.safetensors`` for ``x.safetensor``.

    None for an ending that is right or like no other: ``llama-3.1`` may well be a folder.  So may a name
    that is one already.
    """
    ending = ending_of(path)
    if ending in (SAFETENSORS, *ARCHIVES, *UNWRITTEN) or not 1 < len(ending) < LONGEST_WORD:
        inner = ending_of(path.with_suffix("")) if ending in UNWRITTEN else ""
        return path.with_suffix("") if inner in (SAFETENSORS, *ARCHIVES) else None
    if ending in _ALIKE:
        return path.with_suffix(_ALIKE[ending])
    if not _LETTERS.fullmatch(ending) or path.is_dir():
        return None
    from difflib import get_close_matches

    near = get_close_matches(ending, (SAFETENSORS, *ARCHIVES), n=1, cutoff=_NEAR)
    return path.with_suffix(near[0]) if near else None
