"""See whether the bytes of a checkpoint are those that were written."""

from __future__ import annotations

from paramtool.cli import console
from paramtool.errors import ParamtoolError
from paramtool.files.reading.checkpoint import Checkpoint
from paramtool.files.reading.torch_archive import broken_members
from paramtool.models.open import Model


def verify(model: Model) -> None:
    """Compare the members of every file of `model` with the sums that were written beside them.

    Raises:
        ParamtoolError: where a member is not what was written, or the format has no sums.
    """
    if not isinstance(model, Checkpoint) or not model.has_sums:
        raise ParamtoolError(f"{model.name} has no sums to verify", hint="archives of torch.save have them")
    for path in dict.fromkeys(each.path for each in model.tensors):
        count, broken = broken_members(path)
        if broken:
            more = f" and {len(broken) - 1:,} more" if len(broken) > 1 else ""
            raise ParamtoolError(
                f"{broken[0]}{more} in {path} has not the bytes that were written",
                hint="take another copy, unless torch wrote it without sums (set_crc32_options)",
            )
        console.note(f"the {count:,} members of {path} are whole")
