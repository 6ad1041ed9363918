"""A state_dict that is all that an archive of torch.save holds, with every name as it was written."""

from __future__ import annotations

from pathlib import Path

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Stored
from paramtool.files.reading.pickled_modules import Leaf
from paramtool.files.reading.pickled_values import PickledTensor
from paramtool.files.reading.stored_tensors import Places
from paramtool.files.reading.torch_archive import read_archive


def read_state(descriptor: int, path: Path) -> list[Stored]:
    """Return the tensors of a dict, also those of one storage, which come once for each name.

    Args:
        descriptor: the open file.
        path: what it goes by.

    Raises:
        ParamtoolError: if the archive holds anything else, or is broken.
    """
    archive = read_archive(descriptor, path)
    places = Places(path, archive.rooms, archive.swapped)
    if not isinstance(archive.root, dict):
        raise ParamtoolError(f"{path} does not hold a state_dict")
    found = []
    for name, tensor in archive.root.items():
        if not isinstance(tensor, PickledTensor):
            raise ParamtoolError(f"{path} holds more than tensors")
        found.append(places.stored(name, Leaf(tensor)))
    return found
