"""What files are known by: the marks of formats that are read, and of those that are not, with a way out.

The marks stand here, apart from the readers, so that a file is recognized without loading any reader.
"""

from __future__ import annotations

import re

from paramtool.errors import ParamtoolError
from paramtool.files.reading.open_file import Location

GGUF = (b"GGUF", b"FUGG")
"""How a GGUF file begins; the second where a big-endian machine wrote the word as a number."""

NUMPY = b"\x93NUMPY"
"""How a NumPy array begins."""

ARRAY = ".npy"
"""How the name of an array ends in an archive of NumPy arrays."""

EXPORTED = "archive_format"
"""The member that an archive of torch.export has and one of torch.save lacks."""

POLICY = "policy.pth"
"""The member that holds the model in an archive of Stable-Baselines3."""

DISTRIBUTED = ".metadata"
"""The file that makes a folder a distributed checkpoint."""

SHARDING = "DCP_SHARDING_INFO"
"""The key in the metadata of a safetensors file under which the places of the pieces in it stand, as JSON."""

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
_PIECE = ".distcp"
_OTHERS = (".safetensors", ".pkl", ".pickle", ".json", _PIECE)
_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pt2")


def check_readable(path: Location, head: bytes) -> None:
    """Raise for a file that begins with `head` and cannot be a checkpoint that is read.

    Raises:
        ParamtoolError: with what it is, and what to do instead.
    """
    if not head and path.suffix in (*_BY_NAME, *_PICKLED, *_OTHERS):
        raise ParamtoolError(
            f"{path} is empty: it has 0 bytes", hint="was the download or the save broken off?"
        )
    for signature, what, hint in _SIGNATURES:
        if re.match(signature, head, re.DOTALL):
            raise ParamtoolError(f"{path} is {what}", hint=hint)
    if path.suffix == _PIECE:
        hint = f"name its folder, which must have the file {DISTRIBUTED}"
        raise ParamtoolError(f"{path} is one piece of a distributed checkpoint", hint=hint)
    if path.suffix in _BY_NAME:
        hint = "paramtool reads specs, safetensors and what torch.save writes"
        raise ParamtoolError(f"{path} is {_BY_NAME[path.suffix]}", hint=hint)
    if path.suffix in _PICKLED:
        raise ParamtoolError(f"{path} is not a file that torch.save writes", hint="is the file complete?")
