"""Files that are known and not read, by their first bytes or their names, and what to do instead."""

from __future__ import annotations

import re
from pathlib import Path

from paramtool.errors import ParamtoolError

_SAVE_AGAIN = "if you trust it, load it and save its state_dict with a current torch.save or as safetensors"
_SIGNATURES: tuple[tuple[bytes, str, str | None], ...] = (
    (b"version https://git-lfs.github.com/", "a Git LFS pointer", "'git lfs pull' gets the file itself"),
    (rb"\s*<(?i:!doctype|html|\?xml)", "a web page, not the file itself", "the download went wrong"),
    (b".{257}ustar", "a tar archive, as torch wrote before 0.2", _SAVE_AGAIN),
    (b"\x89HDF\r\n\x1a\n", "in the HDF5 format, as Keras writes", None),
    (b".{4}TFL3", "in the TensorFlow Lite format", None),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf", "compressed", "decompress it first"),
)  # fmt: skip
_BY_NAME = {
    ".onnx": "in the ONNX format",
    ".h5": "not an HDF5 file that paramtool can read",
    ".gguf": "not a valid GGUF file",
    ".pb": "in a TensorFlow format",
    ".npy": "not a valid NumPy array",
    ".npz": "not a valid archive of NumPy arrays",
    ".keras": "in the Keras format",
    ".nemo": "a NeMo archive",
}
_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pt2")


def check_readable(path: Path, head: bytes) -> None:
    """Raise for a file that begins with `head` and cannot be a checkpoint that is read.

    Raises:
        ParamtoolError: with what it is, and what to do instead.
    """
    for signature, what, hint in _SIGNATURES:
        if re.match(signature, head, re.DOTALL):
            raise ParamtoolError(f"{path} is {what}", hint=hint)
    if path.suffix in _BY_NAME:
        hint = "paramtool reads specs, safetensors and what torch.save writes"
        raise ParamtoolError(f"{path} is {_BY_NAME[path.suffix]}", hint=hint)
    if path.suffix in _PICKLED:
        raise ParamtoolError(f"{path} is not a file that torch.save writes", hint="is the file complete?")
