"""What MODEL names, determined by content: by the first bytes of a file, not by its name alone."""

from __future__ import annotations

import os
from enum import Enum

from paramtool.files.reading import formats
from paramtool.files.reading.formats import path_and_key

SUFFIXES = (
    ".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".yaml", ".yml", ".json", ".pt2", ".pkl", ".pickle",
    ".npz", ".npy", ".gguf", ".onnx", ".h5", ".index", ".py", ".txt", ".toml", ".tar", ".zip",
)  # fmt: skip
"""What the name of a file ends in, which is then not that of a Python module."""


class Form(Enum):
    """What a file, folder or name is."""

    text = "a spec, a snapshot or an index"
    checkpoint = "a checkpoint"
    object = "a name in Python"
    source = "a Python file"
    remote = "a checkpoint at a URL"
    absent = "not there"


def recognize(name: str) -> Form:
    """Return what `name` is.

    A name without a file is a `Form.object` if it looks like one, else `Form.absent`.

    Raises:
        ParamtoolError: for a file of a format that is known and not read, with what to do instead.
    """
    if "://" in name:
        from paramtool.files.remote.address import is_url

        if is_url(name):
            return Form.remote
    if ".py:" in name and _is_in_file(name):
        return Form.object
    path, _ = path_and_key(name)
    try:
        is_there, is_folder, is_file = os.path.lexists(path), path.is_dir(), path.is_file()
    except (OSError, ValueError):  # a NUL in the name
        return Form.text
    if not is_there:
        before, colon, _ = name.rpartition(":")
        if colon and not before.endswith(SUFFIXES):
            from paramtool.language.python_object import OBJECT

            if OBJECT.fullmatch(name):
                return Form.object
        return Form.absent if name else Form.text
    if not is_folder and not is_file:
        return Form.text
    if path.suffix == ".py" and is_file:
        return Form.source
    return Form.text if formats.recognize(path) is None else Form.checkpoint


def _is_in_file(name: str) -> bool:
    """Return whether a name is ``file.py:object``, and no file is called so."""
    from paramtool.language.python_object import OBJECT_IN_FILE

    try:
        return OBJECT_IN_FILE.fullmatch(name) is not None and not os.path.lexists(name)
    except ValueError:  # a NUL in the name
        return False
