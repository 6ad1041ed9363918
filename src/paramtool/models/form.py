"""What MODEL names, determined by content: by the first bytes of a file, not by its name alone."""

from __future__ import annotations

import os
from enum import Enum

from paramtool.files.reading import formats
from paramtool.files.reading.formats import path_and_key


class Form(Enum):
    """What a file, folder or name is."""

    text = "a spec, a snapshot or an index"
    checkpoint = "a checkpoint"
    object = "a name in Python"


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
    if not is_there and ":" in name:
        from paramtool.language.python_object import OBJECT

        if OBJECT.fullmatch(name):
            return Form.object
    if not is_folder and not is_file:
        return Form.text
    return Form.text if formats.recognize(path) is None else Form.checkpoint
