"""A state_dict that is all that an archive of torch.save holds, with every name as it was written."""

from __future__ import annotations

from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Stored
from paramtool.files.reading.open_file import OpenFile
from paramtool.files.reading.pickled_modules import Leaf
from paramtool.files.reading.pickled_values import PickledTensor
from paramtool.files.reading.stored_tensors import Places
from paramtool.files.reading.torch_archive import read_archive


def read_state(file: OpenFile) -> list[Stored]:
    """Return the tensors of a dict, also those of one storage, which come once for each name.

    Args:
        file: the open file.

    Raises:
        ParamtoolError: if the archive holds anything else, or is broken.
    """
    archive = read_archive(file)
    places = Places(file.path, archive.rooms, archive.swapped)
    if not isinstance(archive.root, dict):
        raise ParamtoolError(f"{file.path} does not hold a state_dict")
    found = []
    for name, tensor in archive.root.items():
        if not isinstance(tensor, PickledTensor):
            raise ParamtoolError(f"{file.path} holds more than tensors")
        found.append(places.stored(name, Leaf(tensor)))
    return found
