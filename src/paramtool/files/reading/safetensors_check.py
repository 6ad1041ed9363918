"""Say what could be checked of a safetensors file, whose format has no checksums."""

from __future__ import annotations

from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.open_file import Location
from paramtool.files.reading.safetensors import read_safetensors
from paramtool.quantities import byte_size


def check_safetensors(checkpoint: Checkpoint) -> list[str]:
    """Return a line for each file that `checkpoint` lies in, after its header was read anew.

    Raises:
        ParamtoolError: if sizes, offsets or gaps are wrong; or if the file was cut off since.
    """
    paths = {each.path for each in checkpoint.tensors}
    paths.update(piece.path for each in checkpoint.tensors for piece in each.pieces)
    return [check_file(path) for path in sorted(paths, key=str)]


def check_file(path: Location) -> str:
    """Return what could be checked of one file; raises as `check_safetensors` does."""
    found = read_safetensors(path)
    count = len(found.tensors)
    tensors = "1 tensor" if count == 1 else f"{count:,} tensors"
    size = byte_size(sum(each.nbytes for each in found.tensors))
    return (
        f"{path}: the sizes and offsets of {tensors} fit, and their {size} fill the file without a gap; "
        "the format has no checksums, so changed values would not show"
    )
