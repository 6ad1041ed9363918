"""What MODEL names, determined by content: by the first bytes of a file, not by its name alone."""

from __future__ import annotations

import os
import re
from enum import Enum
from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.safetensors_format import LONGEST_HEADER
from paramtool.language.python_object import OBJECT


class Form(Enum):
    """What a file, folder or name is."""

    text = "a spec, a snapshot or an index"
    safetensors = "a safetensors file"
    archive = "a zip archive, as torch.save writes"
    folder = "a folder"
    object = "a name in Python"


_PICKLED = (".pt", ".pth", ".bin", ".ckpt")
_HEAD = 1024
_SAVE_AGAIN = "if you trust it, load it and save its state_dict with a current torch.save or as safetensors"
_SIGNATURES: tuple[tuple[bytes, str, str | None], ...] = (
    (b"version https://git-lfs.github.com/", "a Git LFS pointer", "'git lfs pull' gets the file itself"),
    (rb"\s*<(?i:!doctype|html|\?xml)", "a web page, not the file itself", "the download went wrong"),
    (b"\x80.\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "in torch's format before 1.6, a bare pickle", _SAVE_AGAIN),
    (b"\x80[\x00-\x05]", "a bare pickle, which runs code when it is loaded", _SAVE_AGAIN),
    (b".{257}ustar", "a tar archive, as torch wrote before 0.2", _SAVE_AGAIN),
    (b"GGUF", "in the GGUF format", "paramtool reads safetensors and torch.save's zip archives"),
    (b"\x89HDF\r\n\x1a\n", "in the HDF5 format, as Keras writes", None),
    (b".{4}TFL3", "in the TensorFlow Lite format", None),
    (b"\x93NUMPY", "a NumPy array", None),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf", "compressed", "decompress it first"),
)  # fmt: skip
_BY_NAME = {
    ".onnx": "in the ONNX format",
    ".h5": "not an HDF5 file that paramtool can read",
    ".gguf": "in the GGUF format",
    ".pb": "in a TensorFlow format",
    ".npz": "an archive of NumPy arrays",
    ".keras": "in the Keras format",
    ".nemo": "a NeMo archive",
}


def recognize(name: str) -> Form:
    """Return what `name` is.

    A name without a file is a `Form.object` if it looks like one, else a `Form.text`, which cannot
    be read.

    Raises:
        ParamtoolError: for a file of a format that is known and not read, with what to do instead.
    """
    path, _ = path_and_key(name)
    try:
        is_there, is_folder, is_file = os.path.lexists(path), path.is_dir(), path.is_file()
    except (OSError, ValueError):  # a NUL in the name
        return Form.text
    if not is_there and OBJECT.fullmatch(name):
        return Form.object
    if is_folder:
        return Form.folder
    if not is_file:
        return Form.text
    return _of_content(path)


def path_and_key(name: str) -> tuple[Path, str | None]:
    """Split ``checkpoint.pt:ema``, if no file has the whole name but one has its beginning."""
    before, colon, key = name.rpartition(":")
    try:
        if colon and before and key and not os.path.lexists(name) and Path(before).is_file():
            return Path(before), key
    except (OSError, ValueError):
        pass
    return Path(name), None


def _of_content(path: Path) -> Form:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:  # told where it is read
        return Form.text
    # first, because a header of 128 bytes begins like a pickle, with 80 00
    is_header = int.from_bytes(head[:8], "little") <= LONGEST_HEADER and head[8:9] == b"{"
    if is_header:
        return Form.safetensors
    for signature, what, hint in _SIGNATURES:
        if re.match(signature, head, re.DOTALL):
            raise ParamtoolError(f"{path} is {what}", hint=hint)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06") and path.suffix not in _BY_NAME:
        return Form.archive
    if path.suffix == ".safetensors":
        return Form.safetensors
    if path.suffix in _BY_NAME:
        hint = "paramtool reads specs, safetensors and what torch.save writes"
        raise ParamtoolError(f"{path} is {_BY_NAME[path.suffix]}", hint=hint)
    if path.suffix in _PICKLED:
        raise ParamtoolError(
            f"{path} is not a zip archive, as torch.save writes", hint="is the file complete?"
        )
    return Form.text
